/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI bus 0 as a small guest sees it, through ports. */
#ifndef PASSTHROUGH_PCI_H
#define PASSTHROUGH_PCI_H

#include "payload/payload.h"

uint32_t config_read(unsigned int slot, unsigned int offset);
void config_write(unsigned int slot, unsigned int offset, uint32_t value);
/* 16 bits of it, leaving the others of the word alone. */
void config_write16(unsigned int slot, unsigned int offset, uint16_t value);

/* The slot of the device with that vendor and device ID; the test fails without one. */
unsigned int find_device(uint16_t vendor, uint16_t device);
/* Where a capability of a slot is; 0: nowhere. */
unsigned int find_capability(unsigned int slot, uint8_t id);
/* Let the device decode memory and do DMA. */
void enable_device(unsigned int slot);
/* Where a BAR of memory is. */
volatile uint8_t *bar_of(unsigned int slot, unsigned int bar);

/* MSI: this vector, for the first processor. */
void enable_msi(unsigned int slot, uint8_t vector);
/* The I/O APIC input of a slot's first pin, and its redirection entry: level, this vector. */
void route_line(unsigned int slot, uint8_t vector);

/* Interrupts on until taken[vector] reaches 'count', or for so long that none will come. */
void await_interrupts(uint8_t vector, unsigned int count);
/* Interrupts on for a second: for those that must not come. */
void await_none(void);
/* A number of the command line, hexadecimal; the test fails without one. */
uint64_t argument(void);

#define CAP_MSI	 0x05
#define CAP_MSIX 0x11

static inline uint32_t read32(volatile uint8_t *at)
{
	return *(volatile uint32_t *)at;
}

static inline void write32(volatile uint8_t *at, uint32_t value)
{
	*(volatile uint32_t *)at = value;
}

#endif
