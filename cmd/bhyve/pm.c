// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI fixed hardware (ACPI 6.4, 4.8.3).
 */
#include "pm.h"
#include "diag.h"
#include "inout.h"

#include <pthread.h>
#include <stdint.h>

#define PM1_GLOBAL	 0x0020
#define PM1_POWER_BUTTON 0x0100
#define PM1_SLEEP_BUTTON 0x0200
#define PM1_RTC		 0x0400
#define PM1_ENABLES	 (PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC | 0x0001)

#define PM1_SCI_ENABLE	     0x0001
#define PM1_BUS_MASTER	     0x0002
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE	     (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE     0x2000

static struct {
	struct vmctx *ctx; /* constant */

	pthread_mutex_t lock; /* for all below */
	uint16_t status;
	uint16_t enable;
	uint16_t control;
	uint16_t gpe_enable;
	bool sci_level;
} pm = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void update_sci(void)
{
	bool level = (pm.control & PM1_SCI_ENABLE) && (pm.status & pm.enable);

	if (level == pm.sci_level)
		return;
	pm.sci_level = level;
	if (level)
		vm_isa_assert_irq(pm.ctx, SCI_IRQ, SCI_IRQ);
	else
		vm_isa_deassert_irq(pm.ctx, SCI_IRQ, SCI_IRQ);
}

bool pm_power_button(void)
{
	bool heard;

	pthread_mutex_lock(&pm.lock);
	heard = (pm.control & PM1_SCI_ENABLE) && (pm.enable & PM1_POWER_BUTTON);
	if (heard)
		pm.status |= PM1_POWER_BUTTON;
	update_sci();
	pthread_mutex_unlock(&pm.lock);
	return heard;
}

/* Status in the low half, enable in the high half. */
static uint32_t event_read(void *arg, unsigned offset, unsigned bytes)
{
	uint32_t value;

	(void)arg, (void)bytes;
	pthread_mutex_lock(&pm.lock);
	value = pm.status | (uint32_t)pm.enable << 16;
	pthread_mutex_unlock(&pm.lock);
	return value >> (8 * offset);
}

/* Replaces, in a register of which 'mask' is written, the bits in 'writable'. */
static uint16_t merge_bits(uint16_t old, uint32_t value, uint32_t mask, uint32_t writable)
{
	mask &= writable;
	return (uint16_t)((old & ~mask) | (value & mask));
}

/* The bits of a wider register that an access covers. */
static uint32_t covered_bits(unsigned offset, unsigned bytes)
{
	return (uint32_t)((UINT64_C(1) << (8 * bytes)) - 1) << (8 * offset);
}

static void event_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	uint32_t mask = covered_bits(offset, bytes);

	(void)arg;
	value <<= 8 * offset;
	pthread_mutex_lock(&pm.lock);
	pm.status &= (uint16_t) ~(value & mask); /* writing ones clears */
	pm.enable = merge_bits(pm.enable, value >> 16, mask >> 16, PM1_ENABLES);
	update_sci();
	pthread_mutex_unlock(&pm.lock);
}

static uint32_t control_read(void *arg, unsigned offset, unsigned bytes)
{
	uint32_t value;

	(void)arg, (void)bytes;
	pthread_mutex_lock(&pm.lock);
	value = pm.control;
	pthread_mutex_unlock(&pm.lock);
	return value >> (8 * offset);
}

/* SLP_EN reads as zero; SCI_EN changes only through the SMI command port. */
static void control_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	bool off;

	(void)arg;
	value <<= 8 * offset;
	pthread_mutex_lock(&pm.lock);
	pm.control = merge_bits(pm.control, value, covered_bits(offset, bytes),
				PM1_BUS_MASTER | PM1_SLEEP_TYPE);
	off = (value & PM1_SLEEP_ENABLE) &&
	      (pm.control & PM1_SLEEP_TYPE) >> PM1_SLEEP_TYPE_SHIFT == PM_SLEEP_TYPE_S5;
	pthread_mutex_unlock(&pm.lock);
	if (off)
		vm_suspend(pm.ctx, VM_SUSPEND_POWEROFF);
}

/* General-purpose events (4.8.4.1): status in the low half, of which nothing is ever set. */
static uint32_t gpe_read(void *arg, unsigned offset, unsigned bytes)
{
	uint32_t value;

	(void)arg, (void)bytes;
	pthread_mutex_lock(&pm.lock);
	value = (uint32_t)pm.gpe_enable << 16;
	pthread_mutex_unlock(&pm.lock);
	return value >> (8 * offset);
}

static void gpe_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	uint32_t mask = covered_bits(offset, bytes);

	(void)arg;
	value <<= 8 * offset;
	pthread_mutex_lock(&pm.lock);
	pm.gpe_enable = merge_bits(pm.gpe_enable, value >> 16, mask >> 16, UINT16_MAX);
	pthread_mutex_unlock(&pm.lock);
}

/* On a real machine this is firmware's work in system management mode. */
static void smi_command_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&pm.lock);
	if (value == SMI_ACPI_ENABLE)
		pm.control |= PM1_SCI_ENABLE;
	else if (value == SMI_ACPI_DISABLE)
		pm.control &= (uint16_t)~PM1_SCI_ENABLE;
	update_sci();
	pthread_mutex_unlock(&pm.lock);
}

static uint32_t smi_command_read(void *arg, unsigned offset, unsigned bytes)
{
	(void)arg, (void)offset, (void)bytes;
	return 0;
}

static const struct inout_range ranges[] = {
	{ "pm1 event", PM1_EVENT_PORT, PM1_EVENT_LENGTH, INOUT_ANY, event_read, event_write, NULL },
	{ "pm1 control", PM1_CONTROL_PORT, PM1_CONTROL_LENGTH, INOUT_BYTE | INOUT_WORD,
	  control_read, control_write, NULL },
	{ "gpe0", GPE0_PORT, GPE0_LENGTH, INOUT_ANY, gpe_read, gpe_write, NULL },
	{ "smi command", SMI_COMMAND_PORT, 1, INOUT_BYTE, smi_command_read, smi_command_write,
	  NULL },
};

void pm_init(struct vmctx *ctx)
{
	pm.ctx = ctx;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (inout_register(&ranges[i]))
			fatal("acpi: the ports of %s are taken", ranges[i].name);
	/* The MADT describes the SCI as level triggered: the 8259 must agree. */
	if (vm_isa_set_irq_trigger(ctx, SCI_IRQ, LEVEL_TRIGGER))
		fatal("acpi: interrupt %d cannot be level triggered", SCI_IRQ);
}
