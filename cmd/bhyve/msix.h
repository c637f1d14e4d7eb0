/* SPDX-License-Identifier: BSD-2-Clause */
/* An entry of an MSI-X table in memory (PCI Local Bus Specification 3.0, 6.8.2). */
#ifndef BHYVE_MSIX_H
#define BHYVE_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#define MSIX_CONTROL_ENABLE 0x8000u /* of the capability's message control */
#define MSIX_CONTROL_MASK   0x4000u

#define MSIX_ENTRY_SIZE	  16u
#define MSIX_ENTRY_MASKED 0x1u

struct msix_entry {
	uint64_t address; /* a multiple of 4 */
	uint32_t data;
	uint32_t control; /* MSIX_ENTRY_MASKED or 0 */
};

/* Only whole words, one or two, are defined: others read ones and are lost. */
static inline bool msix_is_whole(uint64_t offset, unsigned bytes)
{
	return bytes >= 4 && offset % bytes == 0;
}

/* The word of an entry at 'field', 0, 4, 8 or 12. */
uint32_t msix_entry_word(const struct msix_entry *entry, unsigned field);
void msix_entry_set_word(struct msix_entry *entry, unsigned field, uint32_t value);

#endif
