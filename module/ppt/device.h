/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of ppt. */
#ifndef PPT_DEVICE_H
#define PPT_DEVICE_H

#include "dev/ioapic.h"
#include "ppt/ppt.h"

struct ppt_device;

/* Pages of a BAR that are mapped into the guest. */
struct ppt_piece {
	uint64_t gpa;
	uint64_t len; /* 0: free */
};
#define PPT_PIECES 16

/*
 * A host interrupt of the device, forwarded to the guest as a message. Fields are
 * constant unless they say otherwise.
 */
struct ppt_vector {
	struct ppt_device *device;
	unsigned int index;
	bool on;       /* vm->lock: the host's handler is registered */
	uint64_t addr; /* device->message_lock, like the rest */
	uint64_t msg;
	unsigned int arrivals; /* since its affinity was last checked */
};

struct ppt_device {
	struct ppt_device *next; /* the list's lock */
	struct os_pci *pci;	 /* constant */
	struct os_pci_info info; /* constant */
	char name[16];		 /* constant; as the host writes its address */
	bool removing;		 /* the list's lock: it cannot be assigned any more */
	struct vm *vm; /* the list's lock to change; the VM it is, or is being, assigned to */

	/* The VM's lock, all its vCPUs frozen. */
	struct ppt_device *vm_next;
	bool attached; /* its group is in the VM's IOMMU domain */
	struct ppt_piece piece[PPT_PIECES];

	/* The VM's lock. */
	enum os_pci_interrupt interrupts; /* which kind is set up */
	unsigned int vector_count;
	struct ppt_vector *vector;
	struct ioapic_source line;

	struct os_spinlock message_lock; /* the vectors' messages */
};

/* --- addresses: address.c ----------------------------------------------------------- */

#define PPT_NAME_SIZE 16

void ppt_format_address(const struct os_pci_address *address, char *name, size_t size);
bool ppt_same_address(const struct os_pci_address *a, const struct os_pci_address *b);
/* An ioctl's three numbers. -EINVAL: out of range. */
int ppt_ioctl_address(int bus, int slot, int func, struct os_pci_address *address);
/* One entry of a parameter, 'length' bytes. -EINVAL: malformed. */
int ppt_parse_address(const char *text, size_t length, struct os_pci_address *address);

/* --- registers: mmio.c; VM frozen --------------------------------------------------- */

int ppt_map_mmio(struct ppt_device *device, uint64_t gpa, uint64_t hpa, uint64_t len);
int ppt_unmap_mmio(struct ppt_device *device, uint64_t gpa, uint64_t len);
void ppt_unmap_all(struct ppt_device *device);

/* --- interrupts: interrupt.c; vm->lock held ------------------------------- */

/* Free its interrupts: none is forwarded to the guest afterwards. */
void ppt_interrupts_off(struct ppt_device *device);
int ppt_set_msi(struct ppt_device *device, uint64_t addr, uint64_t msg, int vectors);
int ppt_set_msix(struct ppt_device *device, const struct vm_pptdev_msix *entry);
int ppt_set_intx(struct ppt_device *device, int pin);

/* --- assigning: assign.c; VM frozen --------------------------------------- */

int ppt_assign(struct vm *vm, const struct os_pci_address *address);
int ppt_unassign(struct vm *vm, const struct os_pci_address *address);
/* The device at that address, if it is assigned to the VM, or NULL. */
struct ppt_device *ppt_of_vm(struct vm *vm, const struct os_pci_address *address);
/* Reset a device and unassign it. */
void ppt_leave(struct vm *vm, struct ppt_device *device);
/* Free its interrupts and reset it; also unmap its registers unless 'mapped'. */
int ppt_restart(struct ppt_device *device, bool mapped);

/* --- the list: list.c ----------------------------------------------------- */

/*
 * Look up a device and record the VM as its owner, unless its group is assigned to
 * another VM. Else an errno, after a line in the log. -EALREADY: it is this VM's.
 */
int ppt_claim(struct vm *vm, const struct os_pci_address *address, struct ppt_device **device);
/* It is no VM's any more. */
void ppt_disclaim(struct ppt_device *device);

#endif
