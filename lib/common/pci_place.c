// SPDX-License-Identifier: BSD-2-Clause
#include "common/pci_place.h"
#include "common/number.h"

#include <stdio.h>

#define FIELDS 4

bool pci_place_parse(const char *text, size_t length, struct pci_place *place)
{
	static const unsigned int max[FIELDS] = { 65535, 255, 31, 7 };
	unsigned int field[FIELDS] = { 0 };
	const char *end = text + length;
	unsigned int slashes = 0;

	for (const char *c = text; c < end; c++)
		slashes += *c == '/';
	if (slashes != 2 && slashes != 3)
		return false;
	/* Without a domain the first number is the bus. */
	for (unsigned int i = FIELDS - 1 - slashes; i < FIELDS; i++) {
		if (!number_read(&text, max[i], &field[i]))
			return false;
		if (i < FIELDS - 1 && *text++ != '/')
			return false;
	}
	*place = (struct pci_place){ field[0], field[1], field[2], field[3] };
	return text == end;
}

void pci_place_name(const struct pci_place *place, char name[PCI_PLACE_NAME_LENGTH])
{
	snprintf(name, PCI_PLACE_NAME_LENGTH, "%04x:%02x:%02x.%u", place->domain, place->bus,
		 place->slot, place->function);
}
