// SPDX-License-Identifier: BSD-2-Clause
/* PCI addresses: in parameters, in ioctls, in the log. */
#include "ppt/device.h"

void ppt_format_address(const struct os_pci_address *address, char *name, size_t size)
{
	snprintf(name, size, "%04x:%02x:%02x.%u", address->domain, address->bus, address->slot,
		 address->function);
}

bool ppt_same_address(const struct os_pci_address *a, const struct os_pci_address *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot &&
	       a->function == b->function;
}

static bool is_place(const unsigned int field[4])
{
	return field[0] <= 0xffff && field[1] <= 0xff && field[2] <= 31 && field[3] <= 7;
}

static void set_address(struct os_pci_address *address, const unsigned int field[4])
{
	address->domain = (uint16_t)field[0];
	address->bus = (uint8_t)field[1];
	address->slot = (uint8_t)field[2];
	address->function = (uint8_t)field[3];
}

int ppt_ioctl_address(int bus, int slot, int func, struct os_pci_address *address)
{
	unsigned int field[4] = { (unsigned int)bus >> 8, bus & 0xff, (unsigned int)slot,
				  (unsigned int)func };

	if (bus < 0 || !is_place(field))
		return -EINVAL;
	set_address(address, field);
	return 0;
}

/* A decimal number of up to five digits; returns how many there are. */
static size_t parse_number(const char *text, size_t length, unsigned int *number)
{
	size_t digits = 0;

	*number = 0;
	while (digits < length && digits < 5 && text[digits] >= '0' && text[digits] <= '9')
		*number = *number * 10 + (unsigned int)(text[digits++] - '0');
	return digits;
}

int ppt_parse_address(const char *text, size_t length, struct os_pci_address *address)
{
	unsigned int field[4] = { 0 };
	unsigned int count = 0;
	size_t at = 0;

	for (;;) {
		size_t digits = parse_number(text + at, length - at, &field[count]);

		at += digits;
		count++;
		if (digits == 0)
			return -EINVAL;
		if (at == length)
			break;
		if (text[at++] != '/' || count == 4)
			return -EINVAL;
	}
	if (count < 3)
		return -EINVAL;
	/* The domain defaults to 0. */
	if (count == 3) {
		memmove(&field[1], &field[0], 3 * sizeof(field[0]));
		field[0] = 0;
	}
	if (!is_place(field))
		return -EINVAL;
	set_address(address, field);
	return 0;
}
