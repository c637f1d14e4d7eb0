// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's virtio disk, and through it the transport and the queues of all virtio devices. */
#include "block_options.h"
#include "fake_vmmapi.h"
#include "pci.h"
#include "unit.h"
#include "virtio_driver.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_BYTES (1u << 20)
#define HEADER	   DRIVER_MEMORY
#define DATA	   (DRIVER_MEMORY + 0x1000)
#define STATUS	   (DRIVER_MEMORY + 0x800)

#define READ	0u
#define WRITE	1u
#define FLUSH	4u
#define GET_ID	8u
#define DISCARD 11u
#define ZEROES	13u

#define OK	    0
#define IOERR	    1
#define UNSUPPORTED 2

#define NEEDS_RESET 0x40
#define INPUT	    (16 + DRIVER_SLOT % 8)

static char path[64];

static void make_disk(void)
{
	int file;

	strcpy(path, "/tmp/virtio-blk.XXXXXX");
	file = mkstemp(path);
	REQUIRE(file >= 0 && ftruncate(file, DISK_BYTES) == 0);
	close(file);
}

static void attach(const char *options)
{
	char device[128];

	snprintf(device, sizeof(device), "virtio-blk,%s%s", path, options);
	driver_attach(device);
}

static void set_up(const char *options)
{
	make_disk();
	attach(options);
	REQUIRE(driver_start(driver_features() & ~DRIVER_EVENT_INDEX) == 0xf);
}

static void tear_down(void)
{
	driver_detach();
	unlink(path);
}

static void put_header(uint32_t type, uint64_t sector)
{
	memset(fake.memory + HEADER, 0, 16);
	memcpy(fake.memory + HEADER, &type, 4);
	memcpy(fake.memory + HEADER + 8, &sector, 8);
	fake.memory[STATUS] = 0xee;
}

/* Header, data, status as three descriptors: what becomes of it. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t bytes)
{
	bool in = type == READ || type == GET_ID;
	uint16_t before = driver_used(0);

	put_header(type, sector);
	driver_descriptor(0, 0, HEADER, 16, DRIVER_NEXT, bytes ? 1 : 2);
	driver_descriptor(0, 1, DATA, bytes, DRIVER_NEXT | (in ? DRIVER_WRITE : 0), 2);
	driver_descriptor(0, 2, STATUS, 1, DRIVER_WRITE, 0);
	driver_offer(0, 0);
	(void)driver_wait(0, before + 1);
	return fake.memory[STATUS];
}

static void disk_read(void *buffer, size_t bytes, off_t offset)
{
	int file = open(path, O_RDONLY);

	CHECK_EQ(pread(file, buffer, bytes, offset), (ssize_t)bytes);
	close(file);
}

/* --- transport ------------------------------------------------------------ */

TEST(identity_and_configuration)
{
	set_up(",serial=number-7,sectorsize=512/4096");
	CHECK_EQ(pci_config_read(DRIVER_SLOT, 0, 0, 4), 0x10011af4);
	CHECK_EQ(pci_config_read(DRIVER_SLOT, 0, PCI_SUBSYSTEM_ID, 2), 2);
	CHECK_EQ(driver_config(0, 4), DISK_BYTES / 512);
	CHECK_EQ(driver_config(4, 4), 0);
	CHECK_EQ(driver_config(20, 4), 512);
	CHECK_EQ(driver_config(24, 1), 3);
	CHECK_EQ(request(GET_ID, 0, 20), OK);
	CHECK_EQ(strcmp((char *)fake.memory + DATA, "number-7"), 0);
	tear_down();
}

/* Virtio 1.2, 3.1.1: the device clears FEATURES_OK for a choice it does not support. */
TEST(features_that_are_refused)
{
	make_disk();
	attach("");
	CHECK_EQ(driver_start(0), 3);
	CHECK_EQ(driver_start(DRIVER_VERSION_1 | UINT64_C(1) << 60), 3);
	CHECK_EQ(driver_start(DRIVER_VERSION_1), 0xf);
	tear_down();
}

TEST(reset_forgets_queues_and_features)
{
	set_up("");
	driver_write(20, 1, 0);
	CHECK_EQ(driver_status(), 0);
	driver_write(22, 2, 0);
	CHECK_EQ(driver_read(28, 2), 0);
	CHECK_EQ(driver_read(24, 2), 256);
	driver_write(8, 4, 1);
	CHECK_EQ(driver_read(12, 4), 0);
	tear_down();
}

/* 4.1.4.9: what the window of the configuration space names is read through its data. */
TEST(access_through_configuration_space)
{
	unsigned capability;

	set_up("");
	capability = pci_config_read(DRIVER_SLOT, 0, PCI_CAPABILITIES, 1);
	while (pci_config_read(DRIVER_SLOT, 0, capability, 1) != 9 ||
	       pci_config_read(DRIVER_SLOT, 0, capability + 3, 1) != 5)
		capability = pci_config_read(DRIVER_SLOT, 0, capability + 1, 1);
	pci_config_write(DRIVER_SLOT, 0, capability + 4, 1, 4);
	pci_config_write(DRIVER_SLOT, 0, capability + 8, 4, 0x2000);
	pci_config_write(DRIVER_SLOT, 0, capability + 12, 4, 4);
	CHECK_EQ(pci_config_read(DRIVER_SLOT, 0, capability + 16, 4), DISK_BYTES / 512);
	pci_config_write(DRIVER_SLOT, 0, capability + 8, 4, 0x4000);
	CHECK_EQ(pci_config_read(DRIVER_SLOT, 0, capability + 16, 4), 0);
	tear_down();
}

TEST(line_is_asserted_until_the_isr_is_read)
{
	set_up("");
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	while (__atomic_load_n(&fake.ioapic[INPUT], __ATOMIC_SEQ_CST) == 0)
		usleep(100);
	CHECK_EQ(driver_read(0x1000, 1), 1);
	CHECK_EQ(fake.ioapic[INPUT], 0);
	CHECK_EQ(driver_read(0x1000, 1), 0);
	/* PCI 3.0, 6.2.2: the command register's bit keeps it low. */
	pci_config_write(DRIVER_SLOT, 0, PCI_COMMAND, 2, 0x407);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	CHECK_EQ(driver_wait(0, 2), 1);
	driver_write(20, 1, 0);
	CHECK_EQ(fake.ioapic[INPUT], 0);
	tear_down();
}

TEST(messages_of_a_masked_vector_wait)
{
	set_up("");
	driver_enable_msix(1, 0x4041);
	driver_queue_vector(0, 1);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	while (__atomic_load_n(&fake.messages, __ATOMIC_SEQ_CST) == 0)
		usleep(100);
	CHECK_EQ(fake.message_data, 0x4041);
	CHECK_EQ(fake.message_address, 0xfee00000);
	CHECK_EQ(fake.ioapic[INPUT], 0);
	driver_mask_vector(1, true);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	while (driver_pending() == 0)
		usleep(100);
	CHECK_EQ(driver_pending(), 2);
	CHECK_EQ(fake.messages, 1);
	driver_mask_vector(1, false);
	CHECK_EQ(fake.messages, 2);
	CHECK_EQ(driver_pending(), 0);
	tear_down();
}

TEST(driver_that_wants_no_interrupt_gets_none)
{
	set_up("");
	driver_interrupts(0, 1, 0);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	driver_write(20, 1, 0); /* waits for all that is in flight */
	CHECK_EQ(fake.ioapic[INPUT], 0);
	CHECK_EQ(fake.messages, 0);
	tear_down();
}

/* Drivers from before version 1: registers among ports, a queue at a page's number. */
TEST(older_drivers_use_ports)
{
	uint16_t *available;
	uint64_t *table = (uint64_t *)(fake.memory + 0x40000);

	make_disk();
	attach("");
	driver_port_write(18, 1, 3);
	driver_port_write(4, 4, driver_port_read(0, 4) & ~(uint32_t)DRIVER_EVENT_INDEX);
	driver_port_write(14, 2, 0);
	CHECK_EQ(driver_port_read(12, 2), 256);
	driver_port_write(8, 4, 0x40);
	CHECK_EQ(driver_port_read(8, 4), 0x40);
	driver_port_write(18, 1, 7);
	CHECK_EQ(driver_port_read(20, 4), DISK_BYTES / 512);

	put_header(FLUSH, 0);
	table[0] = HEADER;
	table[1] = 16 | (uint64_t)DRIVER_NEXT << 32 | 1ull << 48;
	table[2] = STATUS;
	table[3] = 1 | (uint64_t)DRIVER_WRITE << 32;
	available = (uint16_t *)(fake.memory + 0x40000 + 256 * 16);
	available[1] = 1;
	driver_port_write(16, 2, 0);
	while (*(volatile uint8_t *)(fake.memory + STATUS) == 0xee)
		usleep(100);
	CHECK_EQ(fake.memory[STATUS], OK);
	tear_down();
}

/* --- requests ------------------------------------------------------------- */

TEST(what_is_written_is_read_back_and_in_the_image)
{
	uint8_t image[4096];

	set_up("");
	memset(fake.memory + DATA, 0x5a, 4096);
	CHECK_EQ(request(WRITE, 16, 4096), OK);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	disk_read(image, sizeof(image), 16 * 512);
	CHECK_EQ(memcmp(image, fake.memory + DATA, sizeof(image)), 0);
	memset(fake.memory + DATA, 0, 4096);
	CHECK_EQ(request(READ, 16, 4096), OK);
	CHECK_EQ(driver_wait(0, 3), 4097);
	CHECK_EQ(memcmp(image, fake.memory + DATA, sizeof(image)), 0);
	tear_down();
}

TEST(what_is_not_on_the_disk_is_an_error)
{
	set_up("");
	CHECK_EQ(request(READ, DISK_BYTES / 512, 512), IOERR);
	CHECK_EQ(request(READ, DISK_BYTES / 512 - 1, 1024), IOERR);
	CHECK_EQ(request(READ, UINT64_MAX / 512, 512), IOERR);
	CHECK_EQ(request(READ, UINT64_MAX, 512), IOERR);
	CHECK_EQ(request(READ, 0, 100), IOERR);
	CHECK_EQ(request(READ, DISK_BYTES / 512 - 1, 512), OK);
	CHECK_EQ(request(77, 0, 512), UNSUPPORTED);
	tear_down();
}

TEST(readonly_disks_refuse_writes)
{
	set_up(",ro");
	CHECK(driver_features() & 1 << 5);
	CHECK(!(driver_features() & 1 << 13));
	CHECK_EQ(request(WRITE, 0, 512), IOERR);
	CHECK_EQ(request(READ, 0, 512), OK);
	tear_down();
}

static void put_range(uint64_t sector, uint32_t sectors, uint32_t flags)
{
	memcpy(fake.memory + DATA, &sector, 8);
	memcpy(fake.memory + DATA + 8, &sectors, 4);
	memcpy(fake.memory + DATA + 12, &flags, 4);
}

TEST(discarding_gives_space_back)
{
	struct stat before, after;

	set_up("");
	memset(fake.memory + DATA, 1, 65536);
	CHECK_EQ(request(WRITE, 0, 65536), OK);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	REQUIRE(stat(path, &before) == 0);
	put_range(0, 128, 0);
	CHECK_EQ(request(DISCARD, 0, 16), OK);
	REQUIRE(stat(path, &after) == 0);
	CHECK(after.st_blocks < before.st_blocks);
	CHECK_EQ(after.st_size, before.st_size);
	put_range(0, 128, 1); /* DISCARD has no flags */
	CHECK_EQ(request(DISCARD, 0, 16), UNSUPPORTED);
	put_range(DISK_BYTES / 512, 1, 0);
	CHECK_EQ(request(DISCARD, 0, 16), IOERR);
	tear_down();
}

TEST(zeroes_are_written)
{
	uint8_t image[512];

	set_up("");
	memset(fake.memory + DATA, 1, 1024);
	CHECK_EQ(request(WRITE, 0, 1024), OK);
	put_range(0, 1, 0);
	CHECK_EQ(request(ZEROES, 0, 16), OK);
	disk_read(image, sizeof(image), 0);
	CHECK_EQ(image[0] | image[511], 0);
	disk_read(image, sizeof(image), 512);
	CHECK_EQ(image[0], 1);
	put_range(1, 1, 1);
	CHECK_EQ(request(ZEROES, 0, 16), OK);
	disk_read(image, sizeof(image), 512);
	CHECK_EQ(image[0], 0);
	tear_down();
}

/* --- queues that a hostile driver makes ----------------------------------- */

/* Offers a chain: the device must say that it needs a reset, and work after one. */
static void breaks(void)
{
	driver_offer(0, 0);
	CHECK_EQ(driver_status() & NEEDS_RESET, NEEDS_RESET);
	REQUIRE(driver_start(driver_features() & ~DRIVER_EVENT_INDEX) == 0xf);
	CHECK_EQ(request(READ, 0, 512), OK);
	REQUIRE(driver_start(driver_features() & ~DRIVER_EVENT_INDEX) == 0xf);
}

TEST(broken_chains_want_a_reset)
{
	set_up("");
	put_header(READ, 0);
	driver_descriptor(0, 0, HEADER, 16, DRIVER_NEXT, 0); /* a loop */
	breaks();
	driver_descriptor(0, 0, HEADER, 16, DRIVER_NEXT, 99); /* no such descriptor */
	breaks();
	driver_descriptor(0, 0, FAKE_MEMORY - 8, 16, 0, 0); /* not RAM */
	breaks();
	driver_descriptor(0, 0, UINT64_MAX - 8, 16, 0, 0);
	breaks();
	driver_descriptor(0, 0, HEADER, 0, 0, 0); /* nothing */
	breaks();
	driver_descriptor(0, 0, HEADER, 16, 0, 0); /* no room for a status */
	breaks();
	driver_descriptor(0, 0, STATUS, 1, DRIVER_WRITE | DRIVER_NEXT, 1); /* order */
	driver_descriptor(0, 1, HEADER, 16, 0, 0);
	breaks();
	driver_descriptor(0, 0, DATA, 24, DRIVER_INDIRECT, 0); /* half a descriptor */
	breaks();
	driver_descriptor(0, 0, DATA, 32, DRIVER_INDIRECT | DRIVER_NEXT, 1);
	breaks();
	tear_down();
}

TEST(indirect_tables_are_followed_once)
{
	uint64_t *table = (uint64_t *)(fake.memory + DATA + 0x8000);

	set_up("");
	put_header(READ, 0);
	table[0] = HEADER;
	table[1] = 16 | (uint64_t)DRIVER_NEXT << 32 | 1ull << 48;
	table[2] = DATA;
	table[3] = 512 | (uint64_t)(DRIVER_NEXT | DRIVER_WRITE) << 32 | 2ull << 48;
	table[4] = STATUS;
	table[5] = 1 | (uint64_t)DRIVER_WRITE << 32;
	driver_descriptor(0, 0, DATA + 0x8000, 48, DRIVER_INDIRECT, 0);
	driver_offer(0, 0);
	CHECK_EQ(driver_wait(0, 1), 513);
	CHECK_EQ(fake.memory[STATUS], OK);
	/* A table in a table (2.7.5.3.1). */
	table[5] = 16 | (uint64_t)DRIVER_INDIRECT << 32;
	breaks();
	tear_down();
}

TEST(queues_that_do_not_fit_are_refused)
{
	make_disk();
	attach("");
	REQUIRE(driver_start(DRIVER_VERSION_1) == 0xf);
	driver_write(20, 1, 0);
	driver_write(20, 1, 3);
	driver_write(22, 2, 0);
	driver_write(24, 2, 3); /* no power of two */
	driver_write(28, 2, 1);
	CHECK_EQ(driver_read(28, 2), 0);
	CHECK_EQ(driver_status() & NEEDS_RESET, NEEDS_RESET);
	driver_write(20, 1, 0);
	driver_write(24, 2, 1024); /* more than is offered */
	driver_write(28, 2, 1);
	CHECK_EQ(driver_read(28, 2), 0);
	tear_down();
}

TEST(one_request_offered_often_is_answered_as_often)
{
	set_up("");
	put_header(READ, 0);
	driver_descriptor(0, 0, HEADER, 16, DRIVER_NEXT, 1);
	driver_descriptor(0, 1, DATA, 512, DRIVER_NEXT | DRIVER_WRITE, 2);
	driver_descriptor(0, 2, STATUS, 1, DRIVER_WRITE, 0);
	for (unsigned i = 0; i < DRIVER_QUEUE; i++)
		driver_offer(0, 0);
	CHECK_EQ(driver_wait(0, DRIVER_QUEUE), 513);
	CHECK_EQ(driver_status() & NEEDS_RESET, 0);
	tear_down();
}

/* 2.7.10: with event indexes an interrupt comes when the one that was asked for is passed. */
TEST(event_index_says_when_to_interrupt)
{
	make_disk();
	attach("");
	REQUIRE(driver_start(driver_features()) == 0xf);
	driver_enable_msix(1, 0x41);
	driver_queue_vector(0, 1);
	driver_interrupts(0, 0, 1); /* not for the first, for the second */
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	CHECK_EQ(__atomic_load_n(&fake.messages, __ATOMIC_SEQ_CST), 0);
	CHECK_EQ(request(FLUSH, 0, 0), OK);
	driver_write(20, 1, 0); /* waits for all that is in flight */
	CHECK_EQ(fake.messages, 1);
	tear_down();
}

/* --- images --------------------------------------------------------------- */

TEST(options_that_are_refused)
{
	static const char *const bad[] = {
		"",
		",ro",
		"p,unknown",
		"p,sectorsize=100",
		"p,sectorsize=513",
		"p,sectorsize=x",
		"p,serial=",
		"p,sectorsize=4096/512",
		"p,queues=0",
		"p,queues=17",
		"p,queues=two",
		"p,sectorsize=512/",
		"p,serial=twenty-one characters",
	};
	struct block_options options;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(block_options_parse(&options, bad[i]) != NULL);
		free(options.path);
	}
	CHECK(block_options_parse(&options, "a/b,nocache,sync,ro,sectorsize=512/4096,queues=4") ==
	      NULL);
	CHECK(options.direct && options.sync && options.readonly);
	CHECK_EQ(options.sector, 512);
	CHECK_EQ(options.physical_sector, 4096);
	CHECK_EQ(options.queues, 4);
	CHECK_EQ(strcmp(options.path, "a/b"), 0);
	free(options.path);
}

static void attach_disk(const void *options)
{
	attach(options);
}

/* The status that bhyve ends with where this device cannot be. */
static int refusal(const char *options)
{
	char text[256];

	return unit_exit_status(attach_disk, options, STDERR_FILENO, text, sizeof(text));
}

TEST(images_that_are_refused)
{
	int file;

	make_disk();
	CHECK_EQ(refusal(""), 0);
	file = open(path, O_RDWR);
	REQUIRE(flock(file, LOCK_EX | LOCK_NB) == 0);
	CHECK_EQ(refusal(""), 4); /* another has it */
	close(file);
	REQUIRE(truncate(path, 1000) == 0);
	CHECK_EQ(refusal(""), 4); /* no whole sectors */
	REQUIRE(truncate(path, 0) == 0);
	CHECK_EQ(refusal(""), 4);
	unlink(path);
	CHECK_EQ(refusal(""), 4); /* not there */
	strcpy(path, "/tmp");
	CHECK_EQ(refusal(",ro"), 4); /* a folder */
}
