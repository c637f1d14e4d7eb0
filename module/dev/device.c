// SPDX-License-Identifier: BSD-2-Clause
/* The in-kernel devices as one; device.h. */
#include "vm/vcpu.h"
#include "dev/device.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"

/* --- ports ------------------------------------------------------------------ */

/* A device on the 8-bit bus. */
struct byte_device {
	uint8_t (*read)(struct vm *vm, uint16_t port);
	void (*write)(struct vm *vm, uint16_t port, uint8_t value);
};

static const struct byte_device byte_devices[] = {
	[DEVICE_PIC] = { pic_port_read, pic_port_write },
	[DEVICE_PIT] = { pit_port_read, pit_port_write },
	[DEVICE_RTC] = { rtc_port_read, rtc_port_write },
};

const uint8_t device_of_port[DEVICE_PORTS] = {
	[0x20] = DEVICE_PIC,
	[0x21] = DEVICE_PIC,
	[0x40] = DEVICE_PIT,
	[0x41] = DEVICE_PIT,
	[0x42] = DEVICE_PIT,
	[0x43] = DEVICE_PIT,
	[0x61] = DEVICE_PIT,
	[0x70] = DEVICE_RTC,
	[0x71] = DEVICE_RTC,
	[0xa0] = DEVICE_PIC,
	[0xa1] = DEVICE_PIC,
	[PMTIMER_PORT] = DEVICE_PMTIMER,
	[PMTIMER_PORT + 1] = DEVICE_PMTIMER,
	[PMTIMER_PORT + 2] = DEVICE_PMTIMER,
	[PMTIMER_PORT + 3] = DEVICE_PMTIMER,
	[PIC_ELCR_PORT] = DEVICE_PIC,
	[PIC_ELCR_PORT + 1] = DEVICE_PIC,
};

/* NULL: not on the bus, like the power management timer, or nothing. */
static const struct byte_device *find_byte_device(uint32_t port)
{
	unsigned int id = port < DEVICE_PORTS ? device_of_port[port] : DEVICE_NONE;

	return id <= DEVICE_RTC && id != DEVICE_NONE ? &byte_devices[id] : NULL;
}

static void write_bytes(struct vm *vm, uint16_t port, unsigned int size, uint32_t value)
{
	for (unsigned int i = 0; i < size; i++) {
		const struct byte_device *device = find_byte_device(port + i);

		if (device)
			device->write(vm, (uint16_t)(port + i), (uint8_t)(value >> i * 8));
	}
}

static uint32_t read_bytes(struct vm *vm, uint16_t port, unsigned int size)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		const struct byte_device *device = find_byte_device(port + i);
		uint8_t byte = device ? device->read(vm, (uint16_t)(port + i)) : 0xff;

		value |= (uint32_t)byte << i * 8;
	}
	return value;
}

/* One reading of the counter, however it is cut; ones beyond it. */
static uint32_t read_pmtimer(struct vm *vm, unsigned int offset, unsigned int size)
{
	uint64_t value = (0xffffffffull << 32 | pmtimer_read(vm)) >> offset * 8;

	return (uint32_t)(value & (BIT_ULL(size * 8) - 1));
}

static noinline uint32_t wide_access(struct vm *vm, uint16_t port, bool write, unsigned int size,
				     uint32_t value)
{
	if (!write)
		return read_bytes(vm, port, size);
	write_bytes(vm, port, size, value);
	return 0;
}

int64_t device_port_access(struct vcpu *vcpu, uint16_t port, bool write, unsigned int size,
			   uint32_t value)
{
	unsigned int id = device_of_port[port];

	if (unlikely(size > 4))
		return -ENOENT;
	vcpu_stat_inc(vcpu, STAT_PIO);
	if (unlikely(id == DEVICE_PMTIMER)) /* it is read-only */
		return write ? 0 : read_pmtimer(vcpu->vm, port - PMTIMER_PORT, size);
	if (unlikely(size != 1))
		return wide_access(vcpu->vm, port, write, size, value);
	if (!write)
		return byte_devices[id].read(vcpu->vm, port);
	byte_devices[id].write(vcpu->vm, port, (uint8_t)value);
	return 0;
}

/* --- memory ------------------------------------------------------------------ */

static bool in_window(uint64_t gpa, uint64_t base, uint32_t size)
{
	return gpa >= base && gpa - base < size;
}

bool device_mmio_claims(struct vcpu *vcpu, uint64_t gpa)
{
	return in_window(gpa, lapic_mmio_base(vcpu), LAPIC_MMIO_SIZE) ||
	       in_window(gpa, IOAPIC_BASE, IOAPIC_MMIO_SIZE) ||
	       in_window(gpa, HPET_BASE, HPET_MMIO_SIZE);
}

static int lapic_access(struct vcpu *vcpu, uint32_t offset, bool write, unsigned int size,
			uint64_t *value)
{
	if (write)
		return lapic_mmio_write(vcpu, offset, size, *value);
	return lapic_mmio_read(vcpu, offset, size, value);
}

static void ioapic_access(struct vm *vm, uint32_t offset, bool write, unsigned int size,
			  uint64_t *value)
{
	if (write)
		ioapic_mmio_write(vm, offset, size, *value);
	else
		ioapic_mmio_read(vm, offset, size, value);
}

static void hpet_access(struct vm *vm, uint32_t offset, bool write, unsigned int size,
			uint64_t *value)
{
	if (write)
		hpet_mmio_write(vm, offset, size, *value);
	else
		hpet_mmio_read(vm, offset, size, value);
}

int device_mmio(struct vcpu *vcpu, uint64_t gpa, bool write, unsigned int size, uint64_t *value)
{
	uint64_t lapic_base = lapic_mmio_base(vcpu);
	int result = 0;

	if (in_window(gpa, lapic_base, LAPIC_MMIO_SIZE))
		result = lapic_access(vcpu, (uint32_t)(gpa - lapic_base), write, size, value);
	else if (in_window(gpa, IOAPIC_BASE, IOAPIC_MMIO_SIZE))
		ioapic_access(vcpu->vm, (uint32_t)(gpa - IOAPIC_BASE), write, size, value);
	else if (in_window(gpa, HPET_BASE, HPET_MMIO_SIZE))
		hpet_access(vcpu->vm, (uint32_t)(gpa - HPET_BASE), write, size, value);
	else
		return -ENOENT;
	vcpu_stat_inc(vcpu, STAT_MMIO);
	return result;
}

/* --- life -------------------------------------------------------------------- */

/* In the order of creation: interrupt controllers before what interrupts. */
static const struct {
	int (*create)(struct vm *vm);
	void (*destroy)(struct vm *vm);
} devices[] = {
	{ ioapic_create, ioapic_destroy },   { pic_create, pic_destroy },
	{ pmtimer_create, pmtimer_destroy }, { pit_create, pit_destroy },
	{ rtc_create, rtc_destroy },	     { hpet_create, hpet_destroy },
};

int device_create_all(struct vm *vm)
{
	memory_add_window(vm, LAPIC_DEFAULT_BASE, LAPIC_MMIO_SIZE);
	memory_add_window(vm, IOAPIC_BASE, IOAPIC_MMIO_SIZE);
	memory_add_window(vm, HPET_BASE, HPET_MMIO_SIZE);
	for (unsigned int i = 0; i < ARRAY_SIZE(devices); i++) {
		int error = devices[i].create(vm);

		if (error) {
			device_destroy_all(vm);
			return error;
		}
	}
	return 0;
}

/* Each destroys nothing where there is nothing. */
void device_destroy_all(struct vm *vm)
{
	for (unsigned int i = ARRAY_SIZE(devices); i-- > 0;)
		devices[i].destroy(vm);
}

/* First those that drive lines, so that they let go of them. */
void device_reset_all(struct vm *vm)
{
	hpet_reset(vm);
	pit_reset(vm);
	rtc_reset(vm);
	pmtimer_reset(vm);
	pic_reset(vm);
	ioapic_reset(vm);
}

void device_stop_all(struct vm *vm)
{
	hpet_stop(vm);
	pit_stop(vm);
	rtc_stop(vm);
}
