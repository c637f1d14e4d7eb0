/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module's device files played in the process: the library's open(), close(),
 * ioctl() and mmap() come here (the linker wraps them). One VM; its memory is a memfd,
 * so that what the library maps can be compared with what was meant.
 */
#ifndef TESTS_UNIT_VMMAPI_DEVICE_H
#define TESTS_UNIT_VMMAPI_DEVICE_H

#include <stdbool.h>

#include <vmm/vmm_dev.h>

#define DEVICE_SEGMENTS 4
#define DEVICE_MAPPINGS 8
#define DEVICE_NAME	"played"

struct device {
	bool exists;
	bool running; /* VM_REINIT answers EBUSY */
	bool race;    /* somebody creates the VM between open and create */
	int creations;
	int reinits;
	uint32_t create_flags; /* of the last creation */
	int open_controls;     /* open files of /dev/vmmctl */
	int open_vms;	       /* and of the VM */
	struct vm_memseg segments[DEVICE_SEGMENTS];
	struct vm_memmap mappings[DEVICE_MAPPINGS];
	int mapping_count;
	int memory;	    /* the memfd of system memory */
	int counters;	    /* number of statistics: counter i is 1000 + i */
	uint16_t maxcpus;   /* of VM_GET_TOPOLOGY */
	int register_error; /* if not 0, VM_SET_REGISTER and its like fail so */
	int capability_error;
	uint64_t registers[VM_REG_LAST];
	struct seg_desc descriptors[VM_REG_LAST];
	struct vm_readwrite_kernemu_device access; /* the last one */
	struct vm_mtrr mtrr;			   /* the last one set */
	uint64_t fault_at;			   /* VM_GLA2GPA faults on this page */
	int page_faults;			   /* how often it has */
	struct vm_exception exception;		   /* the last one injected */
	int exceptions;
	unsigned long ppt_request; /* the last one about a device of the host */
	union {
		struct vm_pptdev place;
		struct vm_pptdev_mmio mmio;
		struct vm_pptdev_msi msi;
		struct vm_pptdev_msix msix;
		struct vm_pptdev_intx intx;
		struct vm_pptdev_limits limits;
	} ppt;
};

extern struct device device;

/* As after loading the module; files that are open stay so. */
void device_reset(void);

/* Reads system memory as the guest sees it, by offset in the segment. */
uint32_t device_u32(uint64_t offset);

/* What VM_GLA2GPA answers: pages change places in pairs. */
#define DEVICE_TRANSLATE(gla) ((gla) ^ 0x1000)

#endif
