// SPDX-License-Identifier: BSD-2-Clause
/* PCI devices and IOMMUs of the simulated host. One thread at a time uses them. */
#include <stdlib.h>

#include "os/user/internal.h"
#include "os/user/os_user.h"

static struct os_pci *devices;
static bool allowed = true;
static bool unsafe_interrupts;
static struct ppt_device *(*driver_probe)(struct os_pci *pci, const struct os_pci_info *info);

struct os_pci *os_user_pci_add(const struct os_pci_info *info)
{
	struct os_pci *pci = calloc(1, sizeof(*pci));

	if (!pci)
		os_user_die("no memory for a device");
	pci->info = *info;
	pci->isolated = true;
	pci->next = devices;
	devices = pci;
	return pci;
}

void os_user_pci_reset(void)
{
	while (devices) {
		struct os_pci *pci = devices;

		devices = pci->next;
		free(pci);
	}
	os_user_pci_policy(true, false);
	os_user_pci_driver(NULL);
	os_user_fail_iommu_map(0);
}

void os_user_pci_policy(bool is_allowed, bool unsafe)
{
	allowed = is_allowed;
	unsafe_interrupts = unsafe;
}

void os_user_pci_driver(struct ppt_device *(*probe)(struct os_pci *pci,
						    const struct os_pci_info *info))
{
	driver_probe = probe;
}

bool os_pci_allowed(void)
{
	return allowed;
}

bool os_pci_unsafe_interrupts(void)
{
	return unsafe_interrupts;
}

bool os_pci_interrupts_isolated(struct os_pci *pci)
{
	return pci->isolated;
}

int os_pci_reserve(const struct os_pci_address *address, char *holder, size_t size)
{
	struct os_pci *pci = devices;

	os_user_may_sleep("os_pci_reserve");
	while (pci && memcmp(&pci->info.address, address, sizeof(*address)) != 0)
		pci = pci->next;
	if (!pci)
		return -ENODEV;
	if (pci->bridge)
		return -ENOTSUP;
	strscpy(holder, pci->holder, size);
	if (pci->holder[0])
		return -EBUSY;
	if (!pci->device && driver_probe)
		pci->device = driver_probe(pci, &pci->info);
	return pci->device ? 0 : -ENOMEM;
}

int os_pci_reset(struct os_pci *pci)
{
	os_user_may_sleep("os_pci_reset");
	if (pci->kind != OS_PCI_NONE)
		os_user_die("a device is reset with its interrupts on");
	pci->resets++;
	return pci->reset_error;
}

int os_pci_each_peer(struct os_pci *pci, int (*look)(const struct os_pci_peer *peer, void *arg),
		     void *arg)
{
	int error = 0;

	os_user_may_sleep("os_pci_each_peer");
	for (unsigned int i = 0; i < pci->peers && !error; i++)
		error = look(&pci->peer[i], arg);
	return error;
}

/* --- interrupts ----------------------------------------------------------- */

int os_pci_interrupts_begin(struct os_pci *pci, enum os_pci_interrupt kind, unsigned int wanted)
{
	os_user_may_sleep("os_pci_interrupts_begin");
	if (pci->kind != OS_PCI_NONE)
		os_user_die("two kinds of interrupts at once");
	pci->kind = kind;
	if (pci->vectors && wanted > pci->vectors)
		wanted = pci->vectors;
	return (int)min_t(unsigned int, wanted, OS_USER_VECTORS);
}

void os_pci_interrupts_end(struct os_pci *pci)
{
	os_user_may_sleep("os_pci_interrupts_end");
	for (unsigned int i = 0; i < OS_USER_VECTORS; i++) {
		if (pci->vector[i].fn)
			os_user_die("interrupts end with a vector on");
	}
	pci->kind = OS_PCI_NONE;
}

int os_pci_vector_on(struct os_pci *pci, unsigned int vector, void (*fn)(void *arg), void *arg)
{
	if (pci->vector[vector].fn)
		os_user_die("a vector is on already");
	pci->vector[vector].fn = fn;
	pci->vector[vector].arg = arg;
	pci->vector[vector].cpu = -1;
	pci->masked = false;
	return 0;
}

void os_pci_vector_off(struct os_pci *pci, unsigned int vector)
{
	os_user_may_sleep("os_pci_vector_off");
	pci->vector[vector].fn = NULL;
}

void os_pci_vector_move(struct os_pci *pci, unsigned int vector, int cpu)
{
	pci->vector[vector].cpu = cpu;
}

bool os_pci_line_open(struct os_pci *pci)
{
	pci->masked = pci->asks;
	return !pci->asks;
}

bool os_user_pci_fire(struct os_pci *pci, unsigned int vector)
{
	if (!pci->vector[vector].fn || (pci->kind == OS_PCI_INTX && pci->masked))
		return false;
	pci->masked = pci->kind == OS_PCI_INTX;
	os_user_atomic_enter();
	pci->vector[vector].fn(pci->vector[vector].arg);
	os_user_atomic_leave();
	return true;
}

/* --- IOMMUs --------------------------------------------------------------- */

#define RANGES 512

struct os_iommu {
	struct {
		uint64_t gpa, len;
		vm_paddr_t hpa;
		bool writable;
	} range[RANGES];
	unsigned int ranges;
	unsigned int users;
};

static unsigned int iommus;
static unsigned int fail_map;

void os_user_fail_iommu_map(unsigned int n)
{
	fail_map = n;
}

unsigned int os_user_iommus(void)
{
	return iommus;
}

struct os_iommu *os_iommu_create(struct os_pci *pci)
{
	struct os_iommu *iommu = os_alloc(sizeof(*iommu));

	(void)pci;
	iommus += iommu != NULL;
	return iommu;
}

void os_iommu_destroy(struct os_iommu *iommu)
{
	if (iommu->users)
		os_user_die("an IOMMU's space is destroyed with devices in it");
	iommus--;
	os_free(iommu);
}

int os_iommu_map(struct os_iommu *iommu, uint64_t gpa, vm_paddr_t hpa, uint64_t len, bool writable)
{
	unsigned int at = iommu->ranges;

	os_user_may_sleep("os_iommu_map");
	if (fail_map && --fail_map == 0)
		return -ENOMEM;
	if (at == RANGES)
		return -ENOSPC;
	iommu->range[at].gpa = gpa;
	iommu->range[at].len = len;
	iommu->range[at].hpa = hpa;
	iommu->range[at].writable = writable;
	iommu->ranges++;
	return 0;
}

void os_iommu_unmap(struct os_iommu *iommu, uint64_t gpa, uint64_t len)
{
	unsigned int kept = 0;

	os_user_may_sleep("os_iommu_unmap");
	for (unsigned int i = 0; i < iommu->ranges; i++) {
		if (iommu->range[i].gpa - gpa >= len)
			iommu->range[kept++] = iommu->range[i];
	}
	iommu->ranges = kept;
}

int os_iommu_attach(struct os_iommu *iommu, struct os_pci *pci)
{
	if (pci->attach_error)
		return pci->attach_error;
	pci->iommu = iommu;
	iommu->users++;
	return 0;
}

void os_iommu_detach(struct os_iommu *iommu, struct os_pci *pci)
{
	if (pci->iommu != iommu)
		os_user_die("a device is detached from what it was not attached to");
	pci->iommu = NULL;
	iommu->users--;
}

vm_paddr_t os_user_dma(const struct os_pci *pci, uint64_t gpa, bool write)
{
	const struct os_iommu *iommu = pci->iommu;

	for (unsigned int i = 0; iommu && i < iommu->ranges; i++) {
		uint64_t offset = gpa - iommu->range[i].gpa;

		if (offset < iommu->range[i].len && (iommu->range[i].writable || !write))
			return iommu->range[i].hpa + offset;
	}
	return 0;
}
