// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any sequence of port accesses to bhyve's devices: nothing but what the
 * registers say may follow. Each step is six bytes: port, width and direction,
 * value; memory holds what the input holds, for fw_cfg's DMA.
 */
#include "event.h"
#include "fake_vmmapi.h"
#include "fwcfg.h"
#include "fwcfg_items.h"
#include "i8042.h"
#include "inout.h"
#include "pci.h"
#include "pm.h"
#include "reset.h"
#include "serial.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Ports worth more than their share; any other is reached through the last row. */
static const uint16_t interesting[] = {
	0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x2f8,	0x2fc,
	0x400, 0x402, 0x404, 0x405, 0x0b2, 0xcf8, 0xcf9, 0xcfc, 0xcfd,	0xcfe,
	0xcff, 0x510, 0x511, 0x514, 0x518, 0x060, 0x064, 0x092, 0xffff,
};
#define INTERESTING (sizeof(interesting) / sizeof(interesting[0]))

static void make_devices(void)
{
	static const uint8_t uuid[16];

	pci_add("0,hostbridge");
	pci_add("3:1,amd_hostbridge");
	pci_add("31,lpc");
	fwcfg_add_option("opt/one,string=value");
	pci_init(fake_ctx);
	pm_init(fake_ctx);
	reset_init(fake_ctx);
	i8042_init(fake_ctx);
	serial_init(fake_ctx, 0, NULL);
	serial_init(fake_ctx, 1, NULL);
	fwcfg_init(fake_ctx, 2, uuid);
}

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* What must hold after every access. */
static void check(void)
{
	uint32_t events = inout_read(0x400, 4);
	bool enabled = inout_read(0x404, 2) & 1;

	EXPECT(fake.line[9] == (enabled && (events & events >> 16 & 0xffff)));
	EXPECT(pci_config_read(0, 0, 0, 4) == 0x12751275);
	EXPECT(pci_config_read(3, 1, 0, 4) == 0x74321022);
	EXPECT(pci_config_read(31, 0, 0, 4) == 0x70008086);
	for (int line = 0; line < FAKE_LINES; line++)
		EXPECT(!fake.line[line] || line == 1 || line == 3 || line == 4 || line == 9);
}

static void step(const uint8_t *bytes)
{
	static const unsigned widths[] = { 1, 2, 4, 1 };
	unsigned width = widths[bytes[1] & 3];
	uint16_t port = interesting[bytes[0] % INTERESTING];
	uint32_t value;

	memcpy(&value, bytes + 2, sizeof(value));
	if (port == 0xffff)
		port = (uint16_t)(value >> 16);
	if (bytes[1] & 4) {
		value = inout_read(port, width);
		EXPECT(width == 4 || value >> (8 * width) == 0);
	} else {
		inout_write(port, width, value);
	}
	if (bytes[1] & 8)
		pm_power_button();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;

	if (!made) {
		fake_reset();
		make_devices();
		made = true;
	}
	memcpy(fake.memory, data, size < 4096 ? size : 4096);
	for (; size >= 6; data += 6, size -= 6) {
		step(data);
		check();
	}
	return 0;
}
