// SPDX-License-Identifier: BSD-2-Clause
/* The in-kernel devices as one; device.h. */
#include "vm/timer.h"
#include "vm/vcpu.h"
#include "dev/device.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"

const struct device_unit device_units[DEVICE_COUNT] = {
	/* Accesses and life are the vCPU's; this is where its page is after reset. */
	[DEVICE_LAPIC] = {
		.name = "lapic",
		.memory = { LAPIC_DEFAULT_BASE, LAPIC_MMIO_SIZE },
	},
	[DEVICE_IOAPIC] = {
		.name = "ioapic",
		.memory = { IOAPIC_BASE, IOAPIC_MMIO_SIZE },
		.memory_read = ioapic_mmio_read,
		.memory_write = ioapic_mmio_write,
		.create = ioapic_create,
		.destroy = ioapic_destroy,
		.reset = ioapic_reset,
	},
	[DEVICE_PIC] = {
		.name = "pic",
		.ports = { { 0x20, 2 }, { 0xa0, 2 }, { PIC_ELCR_PORT, 2 } },
		.port_read = pic_port_read,
		.port_write = pic_port_write,
		.create = pic_create,
		.destroy = pic_destroy,
		.reset = pic_reset,
	},
	[DEVICE_PMTIMER] = {
		.name = "pmtimer",
		.ports = { { PMTIMER_PORT, 4 } },
		.port_read_wide = pmtimer_port_read,
		.create = pmtimer_create,
		.destroy = pmtimer_destroy,
		.reset = pmtimer_reset,
	},
	[DEVICE_PIT] = {
		.name = "pit",
		.ports = { { 0x40, 4 }, { 0x61, 1 } },
		.port_read = pit_port_read,
		.port_write = pit_port_write,
		.create = pit_create,
		.destroy = pit_destroy,
		.reset = pit_reset,
		.stop = pit_stop,
		.resume = pit_resume,
	},
	[DEVICE_RTC] = {
		.name = "rtc",
		.ports = { { 0x70, 2 } },
		.port_read = rtc_port_read,
		.port_write = rtc_port_write,
		.create = rtc_create,
		.destroy = rtc_destroy,
		.reset = rtc_reset,
		.stop = rtc_stop,
		.resume = rtc_resume,
	},
	[DEVICE_HPET] = {
		.name = "hpet",
		.memory = { HPET_BASE, HPET_MMIO_SIZE },
		.memory_read = hpet_mmio_read,
		.memory_write = hpet_mmio_write,
		.create = hpet_create,
		.destroy = hpet_destroy,
		.reset = hpet_reset,
		.stop = hpet_stop,
		.resume = hpet_resume,
	},
};

/* --- ports ------------------------------------------------------------------ */

const uint8_t device_of_port[DEVICE_PORTS] = {
	[0x20 ... 0x21] = DEVICE_PIC,
	[0x40 ... 0x43] = DEVICE_PIT,
	[0x61] = DEVICE_PIT,
	[0x70 ... 0x71] = DEVICE_RTC,
	[0xa0 ... 0xa1] = DEVICE_PIC,
	[PMTIMER_PORT... PMTIMER_PORT + 3] = DEVICE_PMTIMER,
	[PIC_ELCR_PORT... PIC_ELCR_PORT + 1] = DEVICE_PIC,
};

/* The device on the 8-bit bus that has a port; NULL if none has. */
static const struct device_unit *device_find_byte_unit(uint32_t port)
{
	unsigned int id = port < DEVICE_PORTS ? device_of_port[port] : DEVICE_NONE;

	return device_units[id].port_read ? &device_units[id] : NULL;
}

static void device_write_bytes(struct vm *vm, uint16_t port, unsigned int size, uint32_t value)
{
	for (unsigned int i = 0; i < size; i++) {
		const struct device_unit *unit = device_find_byte_unit(port + i);

		if (unit)
			unit->port_write(vm, (uint16_t)(port + i), (uint8_t)(value >> i * 8));
	}
}

static uint32_t device_read_bytes(struct vm *vm, uint16_t port, unsigned int size)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		const struct device_unit *unit = device_find_byte_unit(port + i);
		uint8_t byte = unit ? unit->port_read(vm, (uint16_t)(port + i)) : 0xff;

		value |= (uint32_t)byte << i * 8;
	}
	return value;
}

/* What is not one byte on the 8-bit bus. Out of line, so that the fast path saves no register. */
static noinline uint32_t device_wide_access(struct vm *vm, uint16_t port, bool write,
					    unsigned int size, uint32_t value)
{
	const struct device_unit *unit = &device_units[device_of_port[port]];

	if (unit->port_read_wide)
		return write ? 0 : unit->port_read_wide(vm, port, size);
	if (!write)
		return device_read_bytes(vm, port, size);
	device_write_bytes(vm, port, size, value);
	return 0;
}

int64_t device_port_access(struct vcpu *vcpu, uint16_t port, bool write, unsigned int size,
			   uint32_t value)
{
	const struct device_unit *unit = &device_units[device_of_port[port]];

	if (unlikely(size > 4))
		return -ENOENT;
	vcpu_stat_inc(vcpu, STAT_PIO);
	if (unlikely(size != 1) || unlikely(!unit->port_read))
		return device_wide_access(vcpu->vm, port, write, size, value);
	if (!write)
		return unit->port_read(vcpu->vm, port);
	unit->port_write(vcpu->vm, port, (uint8_t)value);
	return 0;
}

/* --- memory ------------------------------------------------------------------ */

/*
 * The windows that do not move: one in each megabyte of the two from 0xfec00000 on, so that an
 * address says which to look at. A unit test holds this against the units.
 */
static const struct device_unit *device_find_memory_unit(uint64_t gpa)
{
	const struct device_unit *unit = &device_units[DEVICE_IOAPIC];

	if (gpa >> 21 != IOAPIC_BASE >> 21)
		return NULL;
	if (gpa >> 20 & 1)
		unit = &device_units[DEVICE_HPET];
	return gpa - unit->memory.gpa < unit->memory.size ? unit : NULL;
}

static int device_lapic_access(struct vcpu *vcpu, uint32_t offset, bool write, unsigned int size,
			       uint64_t *value)
{
	if (write)
		return lapic_mmio_write(vcpu, offset, size, *value);
	return lapic_mmio_read(vcpu, offset, size, value);
}

static void device_unit_access(struct vm *vm, const struct device_unit *unit, uint32_t offset,
			       bool write, unsigned int size, uint64_t *value)
{
	if (write)
		unit->memory_write(vm, offset, size, *value);
	else
		unit->memory_read(vm, offset, size, value);
}

int device_mmio(struct vcpu *vcpu, uint64_t gpa, bool write, unsigned int size, uint64_t *value)
{
	uint64_t lapic_base = lapic_mmio_base(vcpu);
	const struct device_unit *unit;

	if (gpa >= lapic_base && gpa - lapic_base < LAPIC_MMIO_SIZE) {
		vcpu_stat_inc(vcpu, STAT_MMIO);
		return device_lapic_access(vcpu, (uint32_t)(gpa - lapic_base), write, size, value);
	}
	unit = device_find_memory_unit(gpa);
	if (!unit)
		return -ENOENT;
	vcpu_stat_inc(vcpu, STAT_MMIO);
	device_unit_access(vcpu->vm, unit, (uint32_t)(gpa - unit->memory.gpa), write, size, value);
	return 0;
}

/* --- life -------------------------------------------------------------------- */

/* In reverse order of creation. */
static void device_destroy_units(struct vm *vm, size_t count)
{
	while (count-- > 0)
		if (device_units[count].destroy)
			device_units[count].destroy(vm);
}

static int device_create_unit(struct vm *vm, const struct device_unit *unit)
{
	if (unit->memory.size)
		memory_add_window(vm, unit->memory.gpa, unit->memory.size);
	return unit->create ? unit->create(vm) : 0;
}

int device_create_all(struct vm *vm)
{
	for (size_t i = 0; i < DEVICE_COUNT; i++) {
		int error = device_create_unit(vm, &device_units[i]);

		if (error) {
			device_destroy_units(vm, i);
			return error;
		}
	}
	return 0;
}

void device_destroy_all(struct vm *vm)
{
	device_destroy_units(vm, DEVICE_COUNT);
}

/* In reverse order of creation: what drives lines deasserts them in controllers as they were. */
void device_reset_all(struct vm *vm)
{
	for (size_t i = DEVICE_COUNT; i-- > 0;)
		if (device_units[i].reset)
			device_units[i].reset(vm);
}

void device_resume_all(struct vm *vm)
{
	vm_timers_resume(vm);
	for (size_t i = 0; i < DEVICE_COUNT; i++)
		if (device_units[i].resume)
			device_units[i].resume(vm);
}

void device_stop_all(struct vm *vm)
{
	for (size_t i = DEVICE_COUNT; i-- > 0;)
		if (device_units[i].stop)
			device_units[i].stop(vm);
}
