// SPDX-License-Identifier: BSD-2-Clause
/* PCI bus 0 and its interrupts; pci.h. */
#include "pci.h"

#define COMMAND 0x04
#define BAR0	0x10

#define COMMAND_MEMORY 0x2
#define COMMAND_MASTER 0x4

#define IOAPIC ((volatile uint8_t *)0xfec00000ul)
#define LEVEL  0x8000u

static void select_config_register(unsigned int slot, unsigned int offset)
{
	outl(0xcf8, 0x80000000u | slot << 11 | (offset & 0xfc));
}

uint32_t config_read(unsigned int slot, unsigned int offset)
{
	select_config_register(slot, offset);
	return inl(0xcfc);
}

void config_write(unsigned int slot, unsigned int offset, uint32_t value)
{
	select_config_register(slot, offset);
	outl(0xcfc, value);
}

void config_write16(unsigned int slot, unsigned int offset, uint16_t value)
{
	select_config_register(slot, offset);
	outw((uint16_t)(0xcfc + (offset & 2)), value);
}

unsigned int find_device(uint16_t vendor, uint16_t device)
{
	for (unsigned int slot = 0; slot < 32; slot++) {
		if (config_read(slot, 0) == ((uint32_t)device << 16 | vendor))
			return slot;
	}
	fail("there is no device %x:%x", (uint64_t)vendor, (uint64_t)device);
}

unsigned int find_capability(unsigned int slot, uint8_t id)
{
	unsigned int at = config_read(slot, 0x34) & 0xfc;

	for (unsigned int i = 0; at && i < 48; i++) {
		uint32_t header = config_read(slot, at);

		if ((header & 0xff) == id)
			return at;
		at = header >> 8 & 0xfc;
	}
	return 0;
}

void enable_device(unsigned int slot)
{
	config_write16(slot, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
}

volatile uint8_t *bar_of(unsigned int slot, unsigned int bar)
{
	uint64_t address = config_read(slot, BAR0 + 4 * bar);

	if (address & 4)
		address |= (uint64_t)config_read(slot, BAR0 + 4 * bar + 4) << 32;
	CHECK((address & ~0xfull) && !(address & 1));
	return (volatile uint8_t *)(address & ~0xfull);
}

void enable_msi(unsigned int slot, uint8_t vector)
{
	unsigned int at = find_capability(slot, CAP_MSI);
	uint16_t control = config_read(slot, at) >> 16;

	CHECK(at);
	config_write(slot, at + 4, 0xfee00000);
	if (control & 0x80)
		config_write(slot, at + 8, 0);
	config_write16(slot, at + (control & 0x80 ? 12 : 8), vector);
	config_write16(slot, at + 2, control | 1);
}

void route_line(unsigned int slot, uint8_t vector)
{
	unsigned int pin = 16 + slot % 8;

	write32(IOAPIC, 0x11 + 2 * pin);
	write32(IOAPIC + 0x10, 0);
	write32(IOAPIC, 0x10 + 2 * pin);
	write32(IOAPIC + 0x10, LEVEL | vector);
}

/* The PM timer counts 32 bits at this frequency. */
#define PM_TIMER_HZ  3579545u
#define LONG_SECONDS 30u

void await_interrupts(uint8_t vector, unsigned int count)
{
	uint32_t start = inl(0x408);

	interrupts_on();
	while (taken[vector] < count && inl(0x408) - start < LONG_SECONDS * PM_TIMER_HZ)
		pause();
	interrupts_off();
}

void await_none(void)
{
	uint32_t start = inl(0x408);

	interrupts_on();
	while (inl(0x408) - start < PM_TIMER_HZ)
		pause();
	interrupts_off();
}

uint64_t argument(void)
{
	uint64_t value = 0;
	const char *text = arguments;

	while (*text == ' ')
		text++;
	CHECK(*text);
	for (; *text > ' '; text++)
		value = value << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
	return value;
}
