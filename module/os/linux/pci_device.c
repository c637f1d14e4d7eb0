// SPDX-License-Identifier: BSD-2-Clause
/* An assigned device: its reset and its interrupts. */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include "os/linux/compat.h"
#include "os/linux/pci.h"

/* --- reset ---------------------------------------------------------------- */

/* How long the device's lock may stay contended. */
#define RESET_TRIES	  50
#define RESET_INTERVAL_MS 20

static void pci_restore_reserved(struct os_pci *pci)
{
	pci_load_saved_state(pci->pdev, pci->saved);
	pci_restore_state(pci->pdev);
}

/*
 * The device's lock is only tried for: its holder may wait for the lock of the VM that
 * we hold. DMA is off even when the reset fails.
 */
int os_pci_reset(struct os_pci *pci)
{
	int error = -EAGAIN;

	WRITE_ONCE(pci->used, true);
	pci_clear_master(pci->pdev);
	for (int i = 0; i < RESET_TRIES && error == -EAGAIN; i++) {
		if (i)
			msleep(RESET_INTERVAL_MS);
		error = pci_try_reset_function(pci->pdev);
	}
	pci_restore_reserved(pci);
	if (error && error != -ENOTTY && error != -EAGAIN)
		error = -EIO;
	return error;
}

void os_linux_pci_reset_locked(struct os_pci *pci)
{
	if (!pci->used)
		return;
	pci_clear_master(pci->pdev);
	(void)__pci_reset_function_locked(pci->pdev);
	pci_restore_reserved(pci);
}

/* --- interrupts ----------------------------------------------------------- */

static irqreturn_t message_handler(int number, void *arg)
{
	struct os_pci_irq *irq = arg;

	irq->fn(irq->arg);
	return IRQ_HANDLED;
}

/* The line may be shared with devices of the host. */
static irqreturn_t line_handler(int number, void *arg)
{
	struct os_pci_irq *irq = arg;

	if (!pci_check_and_mask_intx(irq->pci->pdev))
		return IRQ_NONE;
	irq->fn(irq->arg);
	return IRQ_HANDLED;
}

static int pci_irq_vectors_alloc(struct os_pci *pci, enum os_pci_interrupt kind,
				 unsigned int wanted)
{
	switch (kind) {
	case OS_PCI_INTX:
		/* pci_alloc_irq_vectors() would unmask the line before there is a handler. */
		return pci->pdev->irq ? 1 : -ENODEV;
	case OS_PCI_MSI:
		return pci_alloc_irq_vectors(pci->pdev, 1, wanted, PCI_IRQ_MSI);
	case OS_PCI_MSIX:
		return pci_alloc_irq_vectors(pci->pdev, 1, wanted, PCI_IRQ_MSIX);
	default:
		return -EINVAL;
	}
}

int os_pci_interrupts_begin(struct os_pci *pci, enum os_pci_interrupt kind, unsigned int wanted)
{
	int count;

	pci->irq = kcalloc(wanted, sizeof(*pci->irq), GFP_KERNEL_ACCOUNT);
	if (!pci->irq)
		return -ENOMEM;
	count = pci_irq_vectors_alloc(pci, kind, wanted);
	if (count < 0) {
		kfree(pci->irq);
		pci->irq = NULL;
		return count;
	}
	pci->kind = kind;
	pci->irq_count = count;
	return count;
}

void os_pci_interrupts_end(struct os_pci *pci)
{
	pci_free_irq_vectors(pci->pdev);
	if (pci->pdev->pin)
		pci_intx(pci->pdev, 0);
	kfree(pci->irq);
	pci->irq = NULL;
	pci->irq_count = 0;
	pci->kind = OS_PCI_NONE;
}

int os_pci_vector_on(struct os_pci *pci, unsigned int vector, void (*fn)(void *arg), void *arg)
{
	bool line = pci->kind == OS_PCI_INTX;
	struct os_pci_irq *irq = &pci->irq[vector];
	int number = pci_irq_vector(pci->pdev, vector);
	int error;

	if (number < 0)
		return number;
	*irq = (struct os_pci_irq){ .pci = pci, .fn = fn, .arg = arg };
	error = request_irq(number, line ? line_handler : message_handler, line ? IRQF_SHARED : 0,
			    PPT_DRIVER, irq);
	if (error)
		return error;
	WRITE_ONCE(irq->number, number);
	if (line)
		pci_intx(pci->pdev, 1);
	return 0;
}

void os_pci_vector_off(struct os_pci *pci, unsigned int vector)
{
	struct os_pci_irq *irq = &pci->irq[vector];
	int number = irq->number;

	if (pci->kind == OS_PCI_INTX)
		pci_intx(pci->pdev, 0);
	WRITE_ONCE(irq->number, 0);
	free_irq(number, irq);
}

void os_pci_vector_move(struct os_pci *pci, unsigned int vector, int cpu)
{
	int number = READ_ONCE(pci->irq[vector].number);

	if (number && cpu_online(cpu))
		(void)irq_set_affinity(number, cpumask_of(cpu));
}

bool os_pci_line_open(struct os_pci *pci)
{
	return pci_check_and_unmask_intx(pci->pdev);
}
