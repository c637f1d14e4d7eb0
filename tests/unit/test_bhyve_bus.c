// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's tables of ports and of device memory, and PCI configuration space. */
#include "fake_vmmapi.h"
#include "inout.h"
#include "mmio.h"
#include "pci.h"
#include "unit.h"

#include <errno.h>
#include <stdarg.h>

/* Each access as "rB@offset" or "wB@offset=value", one after the other. */
static char log_text[512];

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t used = strlen(log_text);
	va_list args;

	va_start(args, format);
	vsnprintf(log_text + used, sizeof(log_text) - used, format, args);
	va_end(args);
}

static uint32_t port_read(void *arg, unsigned offset, unsigned bytes)
{
	(void)arg;
	note("r%u@%u ", bytes, offset);
	return 0xf1f2f3f4 + offset;
}

static void port_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg;
	note("w%u@%u=%x ", bytes, offset, value);
}

static const struct inout_range bytes_only = { "bytes",	  0x100,      4,   INOUT_BYTE,
					       port_read, port_write, NULL };
static const struct inout_range any_width = { "any",	 0x200,	     4,	  INOUT_ANY,
					      port_read, port_write, NULL };
static const struct inout_range one_register = { "one",	    0x300,	1,   INOUT_DWORD,
						 port_read, port_write, NULL };
static const struct inout_range last_port = { "last",	 0xffff,     1,	  INOUT_BYTE,
					      port_read, port_write, NULL };

static void setup(void)
{
	inout_reset();
	mmio_reset();
	log_text[0] = '\0';
	CHECK_EQ(inout_register(&bytes_only), 0);
	CHECK_EQ(inout_register(&any_width), 0);
	CHECK_EQ(inout_register(&one_register), 0);
	CHECK_EQ(inout_register(&last_port), 0);
}

TEST(unclaimed_ports_read_ones)
{
	setup();
	CHECK_EQ(inout_read(0x80, 1), 0xff);
	CHECK_EQ(inout_read(0x80, 2), 0xffff);
	CHECK_EQ(inout_read(0x80, 4), 0xffffffff);
	inout_write(0x80, 4, 0x12345678);
	CHECK(!inout_owner(0x80));
	CHECK_STR(inout_owner(0x203), "any");
	CHECK_STR(log_text, "");
}

TEST(whole_accesses)
{
	setup();
	CHECK_EQ(inout_read(0x200, 4), 0xf1f2f3f4);
	CHECK_EQ(inout_read(0x201, 2), 0xf3f5);
	CHECK_EQ(inout_read(0x203, 1), 0xf7);
	inout_write(0x202, 2, 0xabcd1234);
	CHECK_STR(log_text, "r4@0 r2@1 r1@3 w2@2=1234 ");
}

TEST(wide_accesses_to_bytes_are_split)
{
	setup();
	CHECK_EQ(inout_read(0x100, 4), 0xf7f6f5f4);
	inout_write(0x102, 2, 0xbeef);
	CHECK_STR(log_text, "r1@0 r1@1 r1@2 r1@3 w1@2=ef w1@3=be ");
}

TEST(accesses_across_the_end_are_split)
{
	setup();
	CHECK_EQ(inout_read(0x203, 2), 0xfff7);
	inout_write(0x202, 4, 0x44332211);
	CHECK_STR(log_text, "r1@3 w1@2=11 w1@3=22 ");
}

TEST(one_port_is_one_register)
{
	setup();
	CHECK_EQ(inout_read(0x300, 4), 0xf1f2f3f4);
	CHECK_EQ(inout_read(0x300, 1), 0xff);
	CHECK_EQ(inout_read(0x301, 1), 0xff);
	CHECK_STR(log_text, "r4@0 ");
}

TEST(port_space_wraps)
{
	setup();
	CHECK_EQ(inout_read(0xffff, 2), 0xfff4);
	inout_write(0xffff, 4, 0x04030201);
	CHECK_STR(log_text, "r1@0 w1@0=1 ");
}

TEST(port_conflicts)
{
	static const struct inout_range overlap = { "overlap", 0x0ff, 2,   INOUT_BYTE,
						    NULL,      NULL,  NULL };
	static const struct inout_range too_long = {
		"long", 0xfffe, 3, INOUT_BYTE, NULL, NULL, NULL
	};
	static const struct inout_range empty = { "empty", 0x50, 0, INOUT_BYTE, NULL, NULL, NULL };

	setup();
	CHECK_EQ(inout_register(&overlap), -EBUSY);
	CHECK(!inout_owner(0xff));
	CHECK_EQ(inout_register(&too_long), -EINVAL);
	CHECK_EQ(inout_register(&empty), -EINVAL);
}

/* --- device memory ------------------------------------------------------------- */

static uint64_t memory_read(void *arg, uint64_t offset, unsigned bytes)
{
	(void)bytes;
	return (uintptr_t)arg + offset;
}

static struct mmio_range memory_range(uint64_t base, uint64_t length, uintptr_t tag)
{
	return (struct mmio_range){ "test", base, length, memory_read, NULL, (void *)tag };
}

TEST(memory_ranges_are_found)
{
	static struct mmio_range ranges[3];

	setup();
	ranges[0] = memory_range(0xd0000000, 0x1000, 0x20000);
	ranges[1] = memory_range(0xc0000000, 0x1000, 0x10000);
	ranges[2] = memory_range(0xc0001000, 0x1000, 0x30000);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(mmio_register(&ranges[i]), 0);
	CHECK_EQ(mmio_read(0xc0000004, 4), 0x10004);
	CHECK_EQ(mmio_read(0xc0001000, 8), 0x30000);
	CHECK_EQ(mmio_read(0xd0000fff, 1), 0x20fff);
	CHECK_EQ(mmio_read(0xd0000ffd, 4), UINT64_MAX);
	CHECK_EQ(mmio_read(0xbfffffff, 1), UINT64_MAX);
	CHECK_EQ(mmio_read(0xd0001000, 1), UINT64_MAX);
	CHECK_EQ(mmio_read(UINT64_MAX, 8), UINT64_MAX);
	mmio_write(0xd0000000, 4, 1);
}

TEST(memory_conflicts)
{
	static struct mmio_range first, below, above, inside, wrapping, top;

	setup();
	first = memory_range(0x10000, 0x1000, 0);
	below = memory_range(0xf800, 0x801, 0);
	above = memory_range(0x10fff, 1, 0);
	inside = memory_range(0xf000, 0x10000, 0);
	wrapping = memory_range(UINT64_MAX, 2, 0);
	top = memory_range(UINT64_MAX, 1, 0x7);
	CHECK_EQ(mmio_register(&first), 0);
	CHECK_EQ(mmio_register(&below), -EBUSY);
	CHECK_EQ(mmio_register(&above), -EBUSY);
	CHECK_EQ(mmio_register(&inside), -EBUSY);
	CHECK_EQ(mmio_register(&wrapping), -EINVAL);
	CHECK_EQ(mmio_register(&top), 0);
	CHECK_EQ(mmio_read(UINT64_MAX, 1), 7);
}

/* --- PCI ------------------------------------------------------------------------ */

static void setup_pci(void)
{
	inout_reset();
	mmio_reset();
	pci_reset();
	pci_add("0,hostbridge");
	pci_add("31,lpc");
	pci_init(fake_ctx);
}

static uint32_t config_read(uint32_t address, unsigned offset, unsigned bytes)
{
	inout_write(0xcf8, 4, address);
	return inout_read((uint16_t)(0xcfc + offset), bytes);
}

#define SLOT(slot) (0x80000000u | (slot) << 11)

TEST(config_address_keeps_its_bits)
{
	setup_pci();
	inout_write(0xcf8, 4, 0xffffffff);
	CHECK_EQ(inout_read(0xcf8, 4), 0x80fffffc);
	CHECK_EQ(inout_read(0xcf8, 1), 0xff);
}

TEST(bridges_identify_themselves)
{
	setup_pci();
	CHECK_EQ(config_read(SLOT(0), 0, 4), 0x12751275);
	CHECK_EQ(config_read(SLOT(0) | 8, 0, 4), 0x06000000);
	CHECK_EQ(config_read(SLOT(31), 0, 2), 0x8086);
	CHECK_EQ(config_read(SLOT(31), 2, 2), 0x7000);
	CHECK_EQ(config_read(SLOT(31) | 8, 2, 2), 0x0601);
	CHECK_EQ(config_read(SLOT(31) | 0xc, 2, 1), 0x00);
	CHECK_EQ(pci_find_slot("lpc"), 31);
	CHECK_EQ(pci_find_slot("amd_hostbridge"), -1);
}

TEST(absent_functions_read_ones)
{
	setup_pci();
	CHECK_EQ(config_read(SLOT(5), 0, 4), 0xffffffff);
	CHECK_EQ(config_read(SLOT(31) | 1 << 8, 0, 2), 0xffff);
	CHECK_EQ(config_read(SLOT(0) | 1 << 16, 0, 4), 0xffffffff);
	CHECK_EQ(config_read(SLOT(0) & 0x7fffffff, 0, 4), 0xffffffff);
	/* An access that crosses a register falls apart into bytes. */
	CHECK_EQ(config_read(SLOT(0), 3, 2), 0xff12);
	CHECK_EQ(config_read(SLOT(0), 1, 2), 0xffff);
}

TEST(only_writable_bits_change)
{
	setup_pci();
	inout_write(0xcf8, 4, SLOT(31) | 4);
	inout_write(0xcfc, 4, 0xfffffff8);
	CHECK_EQ(inout_read(0xcfc, 4), 0x00000000);
	inout_write(0xcfc, 2, 0xffff);
	CHECK_EQ(inout_read(0xcfc, 4), 0x00000007);
	inout_write(0xcf8, 4, SLOT(31));
	inout_write(0xcfc, 4, 0);
	CHECK_EQ(inout_read(0xcfc, 4), 0x70008086);
}

TEST(several_functions_say_so)
{
	inout_reset();
	pci_reset();
	pci_add("0:3:1,lpc");
	CHECK_EQ(pci_config_read(3, 1, 0xe, 1), 0x80);
	pci_add("3:0,hostbridge");
	CHECK_EQ(pci_config_read(3, 0, 0xe, 1), 0x80);
	pci_add("4,amd_hostbridge");
	CHECK_EQ(pci_config_read(4, 0, 0xe, 1), 0x00);
	CHECK_EQ(pci_config_read(4, 0, 0, 4), 0x74321022);
}

TEST(config_space_bounds)
{
	setup_pci();
	CHECK_EQ(pci_config_read(32, 0, 0, 4), 0xffffffff);
	CHECK_EQ(pci_config_read(0, 8, 0, 4), 0xffffffff);
	CHECK_EQ(pci_config_read(0, 0, 4096, 1), 0xffffffff);
	CHECK_EQ(pci_config_read(0, 0, 4094, 4), 0xffffffff);
	CHECK_EQ(pci_config_read(0, 0, 4092, 4), 0);
	pci_config_write(0, 0, 4096, 4, 0);
}

TEST(config_space_in_memory)
{
	setup_pci();
	CHECK_EQ(mmio_read(0xe0000000, 4), 0x12751275);
	CHECK_EQ(mmio_read(0xe0000000 + (31 << 15), 2), 0x8086);
	CHECK_EQ(mmio_read(0xe0000000 + (31 << 15) + 8, 8), 0x06010000);
	CHECK_EQ(mmio_read(0xe0000000 + (5 << 15), 4), 0xffffffff);
	CHECK_EQ(mmio_read(0xe0000000 + (31 << 15) + (1 << 12), 4), 0xffffffff);
	CHECK_EQ(mmio_read(0xe0000100, 4), 0); /* no extended capabilities */
	CHECK_EQ(mmio_read(0xe0100000, 4), UINT64_MAX);
	mmio_write(0xe0000000 + (31 << 15) + 4, 2, 0xffff);
	CHECK_EQ(mmio_read(0xe0000000 + (31 << 15) + 4, 4), 7);
	mmio_write(0xe0000000 + (31 << 15), 8, 0);
	CHECK_EQ(mmio_read(0xe0000000 + (31 << 15), 8), 0x0000000070008086);
}
