/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of ppt say to each other. */
#ifndef PPT_DEVICE_H
#define PPT_DEVICE_H

#include "dev/ioapic.h"
#include "ppt/ppt.h"

struct ppt_device;

enum ppt_state {
	PPT_RESERVED, /* no guest has it */
	PPT_ENTERING, /* a guest is getting it: it is being reset */
	PPT_ASSIGNED, /* a guest has it */
	PPT_LEAVING,  /* a guest is losing it: it is being reset */
};

/* Registers shown to the guest. */
struct ppt_piece {
	uint64_t gpa;
	uint64_t len; /* 0: free */
};
#define PPT_PIECES 16

/*
 * One interrupt message on its way from the device to the guest. Constant, but for
 * those that say otherwise.
 */
struct ppt_vector {
	struct ppt_device *device;
	unsigned int index;
	bool on;       /* vm->lock: the host's side is set up */
	uint64_t addr; /* device->message_lock, like the rest */
	uint64_t msg;
	unsigned int arrivals; /* since it was last looked where its vCPU is */
};

struct ppt_device {
	struct ppt_device *next; /* the list's lock */
	struct os_pci *pci;	 /* constant */
	struct os_pci_info info; /* constant */
	char name[16];		 /* constant; as the host writes its address */
	enum ppt_state state;	 /* the list's lock */
	bool going;		 /* the list's lock: nobody may have it any more */
	struct vm *vm;		 /* the list's lock; does not change while ASSIGNED */

	/* Of the VM that has it: vm->lock, all vCPUs frozen. */
	struct ppt_device *vm_next;
	bool attached; /* its DMA goes to the VM's memory */
	struct ppt_piece piece[PPT_PIECES];

	/* Of the VM that has it: vm->lock. */
	enum os_pci_interrupt interrupts; /* which kind is set up */
	unsigned int vector_count;
	struct ppt_vector *vector;
	struct ioapic_source line;

	struct os_spinlock message_lock; /* where the vectors' messages go */
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

/* --- interrupts: interrupt.c; vm->lock held ---------------------------------------------- */

/* No interrupt of the device reaches the guest afterwards. */
void ppt_interrupts_off(struct ppt_device *device);
int ppt_set_msi(struct ppt_device *device, uint64_t addr, uint64_t msg, int vectors);
int ppt_set_msix(struct ppt_device *device, const struct vm_pptdev_msix *entry);
int ppt_set_intx(struct ppt_device *device, int pin);

/* --- assigning: assign.c; VM frozen --------------------------------------------------- */

int ppt_assign(struct vm *vm, const struct os_pci_address *address);
int ppt_unassign(struct vm *vm, const struct os_pci_address *address);
/* A device that the VM has, or NULL. */
struct ppt_device *ppt_of_vm(struct vm *vm, const struct os_pci_address *address);
/* The VM gives up a device. */
void ppt_leave(struct vm *vm, struct ppt_device *device);
/* Interrupts off and reset, registers out of the guest's reach unless 'mapped'. */
int ppt_restart(struct ppt_device *device, bool mapped);

/* --- the list: list.c ------------------------------------------------------------------ */

/*
 * Find a device and claim it for a VM: it is PPT_ENTERING, and the group is no
 * other VM's. Else an errno, after a sentence in the log. -EALREADY: it has it.
 */
int ppt_claim(struct vm *vm, const struct os_pci_address *address, struct ppt_device **device);
void ppt_set_state(struct ppt_device *device, enum ppt_state state);
/* Back to nobody. */
void ppt_disclaim(struct ppt_device *device);

#endif
