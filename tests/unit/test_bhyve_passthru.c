// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's passthrough: a made-up device in a folder that looks like sysfs. */
#include "fake_vmmapi.h"
#include "host_pci.h"
#include "inout.h"
#include "mmio.h"
#include "pci.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ECAM 0xe0000000u

static char root[64];
static uint8_t config[4096];
static char folder[128];

static void put16(unsigned offset, unsigned value)
{
	config[offset] = (uint8_t)value;
	config[offset + 1] = (uint8_t)(value >> 8);
}

static void put32(unsigned offset, uint32_t value)
{
	put16(offset, value);
	put16(offset + 2, value >> 16);
}

static void write_file(const char *name, const void *data, size_t length)
{
	char path[192];
	int file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	REQUIRE(file >= 0 && write(file, data, length) == (ssize_t)length);
	close(file);
}

static uint16_t host16(unsigned offset)
{
	char path[192];
	uint16_t value = 0;
	int file;

	snprintf(path, sizeof(path), "%s/config", folder);
	file = open(path, O_RDONLY);
	CHECK_EQ(pread(file, &value, 2, offset), 2);
	close(file);
	return value;
}

/*
 * Capabilities: PM at 0x40, MSI (64-bit, 4 messages) at 0x50, VPD at 0x60, MSI-X (8
 * entries at 0x2000 of BAR 0, pending bits at 0x3000) at 0x70, Express at 0x80,
 * vendor's at 0xc0. Extended: AER at 0x100, serial number at 0x140.
 */
static void make_config(void)
{
	memset(config, 0, sizeof(config));
	put32(0x00, 0x56781234);
	put16(0x06, 0x0010);
	put32(0x08, 0x01080203);
	config[0x34] = 0x40;
	config[0x3d] = 1;
	put16(0x40, 0x5001);
	put16(0x42, 0xf803);
	put16(0x50, 0x6005);
	put16(0x52, 0x0184);
	put16(0x60, 0x7003);
	put32(0x64, 0x11111111);
	put16(0x70, 0x8011);
	put16(0x72, 7);
	put32(0x74, 0x2000);
	put32(0x78, 0x3000);
	put16(0x80, 0xc010);
	put16(0x82, 0x0002);
	put32(0x84, 0x10008000);
	put16(0xc0, 0x0009);
	config[0xc2] = 8;
	put32(0xc4, 0x22222222);
	put32(0xe0, 0x33333333);
	put32(0x100, 0x14020001);
	put32(0x140, 0x00010003);
	put32(0x144, 0x44444444);
}

static const char resources[] = "0x00000000d0000000 0x00000000d0003fff 0x0000000000140204\n"
				"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				"0x00000000d8000100 0x00000000d80001ff 0x0000000000040200\n"
				"0x000000000000c000 0x000000000000c03f 0x0000000000040101\n"
				"0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				"0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

static void make_host(void)
{
	static uint8_t memory[0x4000];
	uint8_t ports[0x40];

	strcpy(root, "/tmp/passthru.XXXXXX");
	REQUIRE(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/0000:05:00.0", root);
	REQUIRE(mkdir(folder, 0700) == 0);
	make_config();
	write_file("config", config, sizeof(config));
	write_file("resource", resources, sizeof(resources) - 1);
	write_file("vendor", "0x1234\n", 7);
	write_file("device", "0x5678\n", 7);
	write_file("subsystem_vendor", "0x9abc\n", 7);
	write_file("subsystem_device", "0xdef0\n", 7);
	write_file("irq", "16\n", 3);
	memset(memory, 0xaa, sizeof(memory));
	write_file("resource0", memory, sizeof(memory));
	memset(memory, 0xbb, sizeof(memory));
	write_file("resource2", memory, 0x1000);
	memset(ports, 0xcc, sizeof(ports));
	write_file("resource3", ports, sizeof(ports));
	host_pci_root = root;
}

static void clean_up(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	CHECK_EQ(system(command), 0);
}

static uint32_t get(unsigned offset, unsigned bytes)
{
	return pci_config_read(3, 0, offset, bytes);
}

static void set(unsigned offset, unsigned bytes, uint32_t value)
{
	pci_config_write(3, 0, offset, bytes, value);
}

static void set_up(const char *option)
{
	if (!root[0])
		make_host();
	inout_reset();
	mmio_reset();
	pci_reset();
	fake_reset();
	pci_add("0,hostbridge");
	pci_add(option);
	pci_init(fake_ctx);
}

/* What has been asked of the module since the last time. */
static const char *calls(void)
{
	static char text[sizeof(fake.calls)];

	strcpy(text, fake.calls);
	fake.calls[0] = '\0';
	return text;
}

#define DEVICE "3,passthru,5/0/0"

TEST(identity_and_header)
{
	set_up(DEVICE);
	CHECK_STR(calls(), "assign 5/0/0; intx 19; ");
	CHECK_EQ(get(0, 4), 0x56781234);
	CHECK_EQ(get(8, 4), 0x01080203);
	CHECK_EQ(get(0x2c, 4), 0xdef09abc);
	CHECK_EQ(get(0x3c, 2), 0x0113);
	CHECK_EQ(get(0x0e, 1), 0);
	CHECK_EQ(get(0x04, 4), 0x00100000);
	clean_up();
}

TEST(no_line_without_a_number)
{
	make_host();
	write_file("irq", "0\n", 2);
	set_up(DEVICE);
	CHECK_STR(calls(), "assign 5/0/0; ");
	CHECK_EQ(get(0x3c, 2), 0);
	clean_up();
}

TEST(capabilities_are_filtered)
{
	set_up(DEVICE);
	CHECK_EQ(get(0x34, 1), 0x40);
	CHECK_EQ(get(0x40, 2), 0x5001);
	CHECK_EQ(get(0x42, 2), 0x0003); /* no PME */
	CHECK_EQ(get(0x50, 2), 0x7005); /* past the VPD */
	CHECK_EQ(get(0x52, 2), 0x0084); /* no masks of its own */
	CHECK_EQ(get(0x60, 4), 0);
	CHECK_EQ(get(0x64, 4), 0);
	CHECK_EQ(get(0x70, 2), 0x8011);
	CHECK_EQ(get(0x80, 2), 0xc010);
	CHECK_EQ(get(0x82, 2), 0x0092); /* without a link */
	CHECK_EQ(get(0xc0, 4), 0x00080009);
	CHECK_EQ(get(0xc4, 4), 0x22222222);
	CHECK_EQ(get(0xe0, 4), 0x33333333);
	/* AER is hidden behind a header of nothing. */
	CHECK_EQ(get(0x100, 4), 0x14000000);
	CHECK_EQ(get(0x104, 4), 0);
	CHECK_EQ(get(0x140, 4), 0x00010003);
	CHECK_EQ(get(0x144, 4), 0x44444444);
	clean_up();
}

TEST(what_is_written_where)
{
	set_up(DEVICE);
	set(0xc4, 4, 0x55667788);
	CHECK_EQ(host16(0xc4), 0x7788);
	set(0xe0, 2, 0x9999);
	CHECK_EQ(host16(0xe0), 0x9999);
	set(0x44, 4, 0xffffffff); /* PM: only the state */
	CHECK_EQ(get(0x44, 2), 0x000b);
	CHECK_EQ(host16(0x44), 0);
	set(0x64, 4, 0xffffffff);
	CHECK_EQ(host16(0x64), 0x1111);
	set(0x0, 4, 0);
	CHECK_EQ(get(0, 4), 0x56781234);
	/* Bus mastering is the device's own, decoding is not. */
	set(4, 2, 0x0006);
	CHECK_EQ(host16(4), 0x0004);
	set(4, 2, 0x0002);
	CHECK_EQ(host16(4), 0x0000);
	clean_up();
}

TEST(bars_are_sized_and_moved)
{
	set_up(DEVICE);
	(void)calls();
	/* 64-bit, 16 KiB; 32-bit, a page at least; ports. */
	CHECK_EQ(get(0x10, 4) & 0xf, 0x4);
	CHECK(get(0x14, 4) >= 8);
	set(0x10, 4, 0xffffffff);
	set(0x14, 4, 0xffffffff);
	CHECK_EQ(get(0x10, 4), 0xffffc004);
	CHECK_EQ(get(0x14, 4), 0xffffffff);
	set(0x18, 4, 0xffffffff);
	CHECK_EQ(get(0x18, 4), 0xfffff000);
	set(0x1c, 4, 0xffffffff);
	CHECK_EQ(get(0x1c, 4), 0xffffffc1);
	set(0x20, 4, 0xffffffff);
	CHECK_EQ(get(0x20, 4), 0);
	CHECK_STR(calls(), "");

	set(0x10, 4, 0xc0100000);
	set(0x14, 4, 0);
	set(4, 2, 2);
	CHECK_STR(calls(), "map c0100000+2000=d0000000; ");
	/* Sizing with decoding on: nothing is at such an address. */
	set(0x10, 4, 0xffffffff);
	CHECK_STR(calls(), "unmap c0100000+2000; ");
	set(0x10, 4, 0xc0200000);
	CHECK_STR(calls(), "map c0200000+2000=d0000000; ");
	set(0x10, 4, 0xc0200000);
	CHECK_STR(calls(), "");
	set(0x14, 4, 8);
	CHECK_STR(calls(), "unmap c0200000+2000; map 8c0200000+2000=d0000000; ");
	set(4, 2, 0);
	CHECK_STR(calls(), "unmap 8c0200000+2000; ");
	clean_up();
}

TEST(accesses_that_come_here)
{
	set_up(DEVICE);
	set(0x10, 4, 0xc0100000);
	set(0x14, 4, 0);
	set(0x18, 4, 0xc0200000);
	set(0x1c, 4, 0x3000);
	CHECK_EQ(mmio_read(0xc0200000, 4), UINT64_MAX);
	set(4, 2, 3);
	CHECK_EQ(mmio_read(0xc0103000, 8), 0xaaaaaaaaaaaaaaaa); /* pending bits */
	CHECK_EQ(mmio_read(0xc0102ffc, 4), 0xaaaaaaaa);		/* behind the table */
	CHECK_EQ(mmio_read(0xc0200004, 4), 0xbbbbbbbb);
	mmio_write(0xc0200004, 2, 0x1234);
	CHECK_EQ(mmio_read(0xc0200004, 4), 0xbbbb1234);
	CHECK_EQ(mmio_read(0xc02000fe, 4), UINT64_MAX); /* across the end */
	CHECK_EQ(mmio_read(0xc0200100, 4), UINT64_MAX); /* the rest of the page */
	CHECK_EQ(mmio_read(0xc0201000, 4), UINT64_MAX);
	CHECK_EQ(inout_read(0x3004, 4), 0xcccccccc);
	inout_write(0x3005, 1, 0x77);
	CHECK_EQ(inout_read(0x3004, 2), 0x77cc);
	CHECK_EQ(inout_read(0x3040, 1), 0xff);
	set(4, 2, 0);
	CHECK_EQ(inout_read(0x3004, 4), 0xffffffff);
	clean_up();
}

TEST(msi)
{
	set_up(DEVICE);
	(void)calls();
	set(0x54, 4, 0xfee01003);
	set(0x58, 4, 0);
	set(0x5c, 2, 0x4041);
	CHECK_STR(calls(), "");
	set(0x52, 2, 0x0021);
	CHECK_STR(calls(), "msi fee01000 4041 4; ");
	CHECK_EQ(get(0x52, 2), 0x00a5);
	set(0x5c, 2, 0x50);
	CHECK_STR(calls(), "msi fee01000 50 4; ");
	set(0x52, 2, 0);
	CHECK_STR(calls(), "msi fee01000 50 0; intx 19; ");
	set(4, 2, 0x400);
	CHECK_STR(calls(), "intx -1; ");
	clean_up();
}

TEST(msix)
{
	set_up(DEVICE);
	set(0x10, 4, 0xc0100000);
	set(0x14, 4, 0);
	set(4, 2, 2);
	(void)calls();
	CHECK_EQ(mmio_read(0xc010200c, 4), 1);
	mmio_write(0xc0102010, 4, 0xfee02000);
	mmio_write(0xc0102014, 4, 0);
	mmio_write(0xc0102018, 8, 0x00000000000000041ull);
	CHECK_EQ(mmio_read(0xc0102018, 4), 0x41);
	CHECK_EQ(mmio_read(0xc010201c, 4), 0);
	CHECK_EQ(mmio_read(0xc0102018, 2), UINT64_MAX);
	CHECK_STR(calls(), "");
	set(0x72, 2, 0xc000); /* enabled, all masked */
	CHECK_STR(calls(), "intx -1; msix 0 0 0 1; ");
	set(0x72, 2, 0x8000);
	CHECK_STR(calls(), "msix 1 fee02000 41 0; ");
	mmio_write(0xc010200c, 4, 0);
	CHECK_STR(calls(), "msix 0 0 0 0; ");
	mmio_write(0xc010201c, 4, 1);
	CHECK_STR(calls(), "msix 1 fee02000 41 1; ");
	mmio_write(0xc0102018, 4, 0x42);
	CHECK_STR(calls(), "");
	set(0x72, 2, 0);
	CHECK(strstr(calls(), "msix off; intx 19; "));
	clean_up();
}

TEST(reset_by_the_guest)
{
	set_up(DEVICE);
	set(0x10, 4, 0xc0100000);
	set(0x14, 4, 0);
	set(4, 2, 6);
	set(0x52, 2, 1);
	(void)calls();
	set(0x88, 2, 0x8000);
	CHECK_STR(calls(), "reset; unmap c0100000+2000; intx 19; ");
	CHECK_EQ(get(4, 2), 0);
	CHECK_EQ(get(0x10, 4), 4);
	CHECK_EQ(get(0x14, 4), 0);
	CHECK_EQ(get(0x52, 2), 0x84);
	CHECK_EQ(get(0x88, 2), 0);
	clean_up();
}

TEST(rom_of_a_file)
{
	char option[192];

	make_host();
	snprintf(option, sizeof(option), DEVICE ",rom=%s/resource2", folder);
	set_up(option);
	set(0x30, 4, 0xfffffffe);
	CHECK_EQ(get(0x30, 4), 0xfffff000);
	set(0x30, 4, 0xc0300001);
	CHECK_EQ(mmio_read(0xc0300000, 4), UINT64_MAX);
	set(4, 2, 2);
	CHECK_EQ(mmio_read(0xc0300000, 4), 0xbbbbbbbb);
	mmio_write(0xc0300000, 4, 0);
	CHECK_EQ(mmio_read(0xc0300ffc, 4), 0xbbbbbbbb);
	set(0x30, 4, 0xc0300000);
	CHECK_EQ(mmio_read(0xc0300000, 4), UINT64_MAX);
	clean_up();
}
