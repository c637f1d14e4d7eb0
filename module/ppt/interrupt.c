// SPDX-License-Identifier: BSD-2-Clause
/*
 * Forwarding a device's interrupts to the guest: messages to its local APICs, a line to
 * a pin of its I/O APIC. The host handles them first, if possible on the physical CPU
 * where the destination vCPU ran last.
 */
#include "vm/vcpu.h"
#include "dev/lapic.h"
#include "ppt/device.h"

/* After so many interrupts, their affinity is compared with the vCPU's CPU. */
#define ARRIVALS_MAX 64

#define MSI_ADDRESS_LOGICAL 0x4u
#define MSIX_MASKED	    0x1u

/* --- messages ------------------------------------------------------------- */

/* The physical CPU of a message's first destination; -1: there is none, or it never ran. */
static int cpu_of_message(struct vm *vm, uint64_t addr)
{
	uint32_t destination = lapic_destination((uint8_t)(addr >> 12));
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		if (lapic_matches(vcpu, destination, addr & MSI_ADDRESS_LOGICAL))
			return READ_ONCE(vcpu->last_cpu);
	}
	return -1;
}

/* Interrupt context: a vector's message; true when its affinity is to be checked. */
static bool read_message(struct ppt_vector *vector, uint64_t *addr, uint64_t *msg)
{
	struct ppt_device *device = vector->device;
	unsigned long flags = os_spin_lock(&device->message_lock);
	bool move = ++vector->arrivals >= ARRIVALS_MAX;

	if (move)
		vector->arrivals = 0;
	*addr = vector->addr;
	*msg = vector->msg;
	os_spin_unlock(&device->message_lock, flags);
	return move;
}

/* Interrupt context. */
static void message_arrived(void *arg)
{
	struct ppt_vector *vector = arg;
	struct ppt_device *device = vector->device;
	uint64_t addr, msg;
	int cpu;

	if (read_message(vector, &addr, &msg)) {
		cpu = cpu_of_message(device->vm, addr);
		if (cpu >= 0 && (unsigned int)cpu != os_cpu_id())
			os_pci_vector_move(device->pci, vector->index, cpu);
	}
	(void)lapic_msi(device->vm, addr, msg);
}

static void set_message(struct ppt_vector *vector, uint64_t addr, uint64_t msg)
{
	struct ppt_device *device = vector->device;
	unsigned long flags = os_spin_lock(&device->message_lock);

	vector->addr = addr;
	vector->msg = msg;
	vector->arrivals = 0;
	os_spin_unlock(&device->message_lock, flags);
}

/* --- vectors -------------------------------------------------------------- */

static void vector_off(struct ppt_vector *vector)
{
	if (vector->on)
		os_pci_vector_off(vector->device->pci, vector->index);
	vector->on = false;
}

static int vector_on(struct ppt_vector *vector, uint64_t addr, uint64_t msg)
{
	struct ppt_device *device = vector->device;
	int error = 0;
	int cpu;

	set_message(vector, addr, msg);
	if (!vector->on)
		error = os_pci_vector_on(device->pci, vector->index, message_arrived, vector);
	if (error)
		return error;
	vector->on = true;
	cpu = cpu_of_message(device->vm, addr);
	if (cpu >= 0)
		os_pci_vector_move(device->pci, vector->index, cpu);
	return 0;
}

static struct ppt_vector *make_vectors(struct ppt_device *device, unsigned int count)
{
	struct ppt_vector *vector = os_alloc(count * sizeof(*vector));

	for (unsigned int i = 0; vector && i < count; i++) {
		vector[i].device = device;
		vector[i].index = i;
	}
	return vector;
}

/* Allocate vectors of one kind, after freeing those there were. */
static int interrupts_begin(struct ppt_device *device, enum os_pci_interrupt kind,
			    unsigned int wanted)
{
	struct ppt_vector *vector;
	int count;

	ppt_interrupts_off(device);
	vector = make_vectors(device, wanted);
	if (!vector)
		return -ENOMEM;
	count = os_pci_interrupts_begin(device->pci, kind, wanted);
	if (count < 0) {
		os_free(vector);
		return count;
	}
	device->vector = vector;
	device->vector_count = (unsigned int)count;
	device->interrupts = kind;
	return 0;
}

void ppt_interrupts_off(struct ppt_device *device)
{
	if (device->interrupts == OS_PCI_NONE)
		return;
	for (unsigned int i = 0; i < device->vector_count; i++)
		vector_off(&device->vector[i]);
	if (device->interrupts == OS_PCI_INTX)
		ioapic_source_remove(device->vm, &device->line);
	os_pci_interrupts_end(device->pci);
	os_free(device->vector);
	device->vector = NULL;
	device->vector_count = 0;
	device->interrupts = OS_PCI_NONE;
}

/* --- MSI ------------------------------------------------------------------ */

static int msi_begin(struct ppt_device *device, unsigned int vectors)
{
	int error;

	if (device->interrupts == OS_PCI_MSI && device->vector_count == vectors)
		return 0;
	error = interrupts_begin(device, OS_PCI_MSI, vectors);
	if (!error && device->vector_count < vectors) {
		ppt_interrupts_off(device);
		error = -ENOSPC;
	}
	return error;
}

int ppt_set_msi(struct ppt_device *device, uint64_t addr, uint64_t msg, int vectors)
{
	unsigned int count = (unsigned int)vectors;
	int error;

	if (vectors == 0) {
		if (device->interrupts == OS_PCI_MSI)
			ppt_interrupts_off(device);
		return 0;
	}
	if (vectors < 0 || count > device->info.msi_vectors || (count & (count - 1)))
		return -EINVAL;
	error = msi_begin(device, count);
	/* Several vectors share a message but for the lowest bits of its data. */
	for (unsigned int i = 0; i < count && !error; i++)
		error = vector_on(&device->vector[i], addr, msg + i);
	if (error)
		ppt_interrupts_off(device);
	return error;
}

/* --- MSI-X ---------------------------------------------------------------- */

int ppt_set_msix(struct ppt_device *device, const struct vm_pptdev_msix *entry)
{
	unsigned int index = (unsigned int)entry->idx;
	int error = 0;

	if (index >= device->info.msix_vectors)
		return -EINVAL;
	if (device->interrupts != OS_PCI_MSIX)
		error = interrupts_begin(device, OS_PCI_MSIX, device->info.msix_vectors);
	if (error)
		return error;
	if (entry->vector_control & MSIX_MASKED) {
		if (index < device->vector_count)
			vector_off(&device->vector[index]);
		return 0;
	}
	if (index >= device->vector_count)
		return -ENOSPC;
	return vector_on(&device->vector[index], entry->addr, entry->msg);
}

/* --- the line ------------------------------------------------------------- */

/* Interrupt context, the line is masked. */
static void line_arrived(void *arg)
{
	struct ppt_vector *vector = arg;
	struct ppt_device *device = vector->device;

	ioapic_source_raise(device->vm, &device->line);
}

/* The I/O APIC's lock is held. */
static bool line_served(struct ioapic_source *source)
{
	struct ppt_device *device = container_of(source, struct ppt_device, line);

	return os_pci_line_open(device->pci);
}

int ppt_set_intx(struct ppt_device *device, int pin)
{
	int error;

	if (pin == -1) {
		if (device->interrupts == OS_PCI_INTX)
			ppt_interrupts_off(device);
		return 0;
	}
	if (!device->info.intx)
		return -ENOTSUP;
	if (pin < 0 || pin >= IOAPIC_PINS)
		return -EINVAL;
	error = interrupts_begin(device, OS_PCI_INTX, 1);
	if (error)
		return error;
	device->line.served = line_served;
	(void)ioapic_source_add(device->vm, &device->line, pin);
	error = os_pci_vector_on(device->pci, 0, line_arrived, &device->vector[0]);
	device->vector[0].on = !error;
	if (error)
		ppt_interrupts_off(device);
	return error;
}
