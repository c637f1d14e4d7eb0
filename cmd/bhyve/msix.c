// SPDX-License-Identifier: BSD-2-Clause
/* Entries of MSI-X tables; msix.h. */
#include "msix.h"

uint32_t msix_entry_word(const struct msix_entry *entry, unsigned field)
{
	switch (field) {
	case 0:
		return (uint32_t)entry->address;
	case 4:
		return (uint32_t)(entry->address >> 32);
	case 8:
		return entry->data;
	default:
		return entry->control;
	}
}

void msix_entry_set_word(struct msix_entry *entry, unsigned field, uint32_t value)
{
	switch (field) {
	case 0:
		entry->address = (entry->address & ~(uint64_t)UINT32_MAX) | (value & ~3u);
		break;
	case 4:
		entry->address = (entry->address & UINT32_MAX) | (uint64_t)value << 32;
		break;
	case 8:
		entry->data = value;
		break;
	default:
		entry->control = value & MSIX_ENTRY_MASKED;
	}
}
