/* SPDX-License-Identifier: BSD-2-Clause */
/* The items of the firmware configuration device, apart from how a guest reads them. */
#ifndef BHYVE_FWCFG_ITEMS_H
#define BHYVE_FWCFG_ITEMS_H

#include <stddef.h>
#include <stdint.h>

/* Item numbers. Files have numbers from FWCFG_FILE_FIRST on, in order of name. */
enum {
	FWCFG_SIGNATURE = 0x00,
	FWCFG_ID = 0x01,
	FWCFG_UUID = 0x02,
	FWCFG_RAM_SIZE = 0x03,
	FWCFG_NOGRAPHIC = 0x04,
	FWCFG_NB_CPUS = 0x05,
	FWCFG_KERNEL_SIZE = 0x08,
	FWCFG_INITRD_SIZE = 0x0b,
	FWCFG_MAX_CPUS = 0x0f,
	FWCFG_KERNEL_DATA = 0x11,
	FWCFG_INITRD_DATA = 0x12,
	FWCFG_CMDLINE_SIZE = 0x14,
	FWCFG_CMDLINE_DATA = 0x15,
	FWCFG_SETUP_SIZE = 0x17,
	FWCFG_SETUP_DATA = 0x18,
	FWCFG_FILE_DIR = 0x19,
	FWCFG_FILE_FIRST = 0x20,
};

#define FWCFG_FILES_MAX	    64
#define FWCFG_FILE_NAME_MAX 56 /* with the terminating zero */

/* One item's contents; reading past the end gives zeroes. */
struct fwcfg_item {
	const uint8_t *data;
	size_t length;
};

/* The item with that number, empty if there is none. Never NULL. */
const struct fwcfg_item *fwcfg_item(uint16_t key);

/* Give a numbered item a copy of 'length' bytes, or an integer of 2, 4 or 8. */
int fwcfg_set(uint16_t key, const void *data, size_t length);
int fwcfg_set_integer(uint16_t key, uint64_t value, size_t length);

/* Number the files and write their directory; call when all are there. */
int fwcfg_make_directory(void);

/* Forget everything (tests). */
void fwcfg_items_reset(void);

#endif
