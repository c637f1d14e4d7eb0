// SPDX-License-Identifier: BSD-2-Clause
/* Guest memory through /dev/vmm/NAME: read, written and mapped by guest-physical address. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

#define MIB  (1ul << 20)
#define HIGH (4ul << 30)

static const uint8_t halt[] = { 0xf4 };

static struct machine machine;
static int fd;

/* 8 MiB of memory: 4 below 4 GiB, 4 above. */
static void set_up(void)
{
	machine = (struct machine){ 0 };
	machine.ctx = vm_openf("files", VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);
	REQUIRE(machine.ctx);
	vm_set_lowmem_limit(machine.ctx, 4 * MIB);
	REQUIRE(vm_setup_memory(machine.ctx, 8 * MIB, VM_MMAP_ALL) == 0);
	machine.memory = vm_map_gpa(machine.ctx, 0, 4 * MIB);
	memcpy(machine.memory + MACHINE_CODE, halt, sizeof(halt));
	machine.vcpu = machine_vcpu(&machine, 0, MACHINE_CODE);
	fd = vm_get_device_fd(machine.ctx);
}

static void check_error(ssize_t result, int expected)
{
	CHECK_EQ(result, -1);
	CHECK_EQ(errno, expected);
}

TEST(memory_is_read_and_written_by_address)
{
	char text[] = "by address", back[sizeof(text)] = "";
	char *high;

	set_up();
	high = vm_map_gpa(machine.ctx, HIGH, 4 * MIB);
	REQUIRE(high);
	/* Across a page's end, and on both sides of the hole. */
	CHECK_EQ(pwrite(fd, text, sizeof(text), 0x2ffc), sizeof(text));
	CHECK_STR(machine.memory + 0x2ffc, text);
	CHECK_EQ(pwrite(fd, text, sizeof(text), (off_t)(HIGH + 3 * MIB)), sizeof(text));
	CHECK_STR(high + 3 * MIB, text);
	strcpy(high + 0x1ffe, "seen");
	CHECK_EQ(pread(fd, back, 5, (off_t)(HIGH + 0x1ffe)), 5);
	CHECK_STR(back, "seen");
	CHECK_EQ(lseek(fd, MACHINE_CODE, SEEK_SET), MACHINE_CODE);
	CHECK_EQ(read(fd, back, 1), 1);
	CHECK_EQ((uint8_t)back[0], halt[0]);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), MACHINE_CODE + 1);
	machine_destroy(&machine);
}

TEST(holes_read_as_zeros_and_take_no_writes)
{
	char bytes[8192];

	set_up();
	memset(bytes, 0xff, sizeof(bytes));
	machine.memory[4 * MIB - 1] = 0x55;
	CHECK_EQ(pread(fd, bytes, 8192, 4 * MIB - 1), 8192);
	CHECK_EQ(bytes[0], 0x55);
	for (size_t i = 1; i < sizeof(bytes); i++)
		REQUIRE(bytes[i] == 0);
	/* What can be written is, before that is an error. */
	CHECK_EQ(pwrite(fd, bytes, 8192, 4 * MIB - 4), 4);
	check_error(pwrite(fd, bytes, 1, 4 * MIB), EFAULT);
	check_error(pwrite(fd, bytes, 1, (off_t)(HIGH + 4 * MIB)), EFAULT);
	check_error(pwrite(fd, bytes, 1, 1l << 62), EFAULT);
	check_error(pread(fd, bytes, 1, -1), EINVAL);
	CHECK_EQ(pread(fd, bytes, 1, 1l << 62), 0);
	/* Wild pointers are no way around anything. */
	check_error(pread(fd, (void *)0x1000, 16, 0), EFAULT);
	check_error(pwrite(fd, (void *)0x1000, 16, 0), EFAULT);
	machine_destroy(&machine);
}

TEST(firmware_is_read_and_not_written)
{
	char bytes[4] = "";
	char *rom;

	set_up();
	rom = vm_create_devmem(machine.ctx, VM_BOOTROM, "bootrom", MIB);
	REQUIRE(rom != MAP_FAILED);
	strcpy(rom + 0x10, "rom");
	REQUIRE(vm_mmap_memseg(machine.ctx, HIGH - MIB, VM_BOOTROM, 0, MIB,
			       PROT_READ | PROT_EXEC) == 0);
	CHECK_EQ(pread(fd, bytes, 4, (off_t)(HIGH - MIB + 0x10)), 4);
	CHECK_STR(bytes, "rom");
	check_error(pwrite(fd, bytes, 4, (off_t)(HIGH - MIB)), EFAULT);
	/* And mapped by its own file alone. */
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)(HIGH - MIB)) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}

TEST(mapped_by_address)
{
	char *map;

	set_up();
	strcpy(vm_map_gpa(machine.ctx, HIGH + MIB, 16), "high");
	strcpy(machine.memory + MIB, "low");
	map = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(HIGH + MIB));
	REQUIRE(map != MAP_FAILED);
	CHECK_STR(map, "high");
	/* A mapping in parts, moved, shows what it showed. */
	REQUIRE(mprotect(map + MIB, 4096, PROT_READ) == 0);
	strcpy(map + MIB + 4096, "third");
	CHECK_STR((char *)vm_map_gpa(machine.ctx, HIGH + 2 * MIB + 4096, 16), "third");
	munmap(map, 2 * MIB);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, MIB);
	REQUIRE(map != MAP_FAILED);
	CHECK_STR(map, "low");
	munmap(map, 4096);
	CHECK(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 4 * MIB - 4096) == MAP_FAILED);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4 * MIB) == MAP_FAILED);
	machine_destroy(&machine);
}

/* Guest memory copied into itself through the file: its pages fault while it is copied. */
TEST(memory_is_copied_onto_itself)
{
	set_up();
	strcpy(machine.memory + MIB, "self");
	CHECK_EQ(pread(fd, machine.memory + 3 * MIB, 8192, MIB), 8192);
	CHECK_STR(machine.memory + 3 * MIB, "self");
	CHECK_EQ(pwrite(fd, machine.memory + 3 * MIB, 8192, 2 * MIB), 8192);
	CHECK_STR(machine.memory + 2 * MIB, "self");
	machine_destroy(&machine);
}

static int open_read_only(void)
{
	int file = open("/dev/vmm/files", O_RDONLY);
	char byte = 1;

	REQUIRE(file >= 0);
	CHECK_EQ(pread(file, &byte, 1, 0), 1);
	check_error(pwrite(file, &byte, 1, 0), EBADF);
	CHECK(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
	CHECK_EQ(errno, EACCES);
	close(file);
	return 0;
}

TEST(file_opened_to_read_does_not_write)
{
	set_up();
	CHECK_EQ(open_read_only(), 0);
	machine_destroy(&machine);
}

/* Looking at memory costs nobody any; writing counts it once, against the VM's user. */
TEST(reading_holds_no_memory)
{
	struct held before;
	char bytes[4096];

	set_up();
	before = module_holds();
	for (off_t at = 0; at < (off_t)(4 * MIB); at += 4096)
		REQUIRE(pread(fd, bytes, 4096, (off_t)HIGH + at) == 4096);
	CHECK_EQ(module_holds().guest_memory, before.guest_memory);
	REQUIRE(pwrite(fd, bytes, 4096, (off_t)HIGH) == 4096);
	REQUIRE(pwrite(fd, bytes, 4096, (off_t)HIGH) == 4096);
	CHECK(module_holds().guest_memory - before.guest_memory <= 2048);
	machine_destroy(&machine);
}

/* --- while it is destroyed --------------------------------------------------------- */

static bool over;

/* Reads, writes and maps until the VM is gone, and then finds ENXIO alone. */
static void *hammer(void *arg)
{
	int file = *(int *)arg;
	char bytes[8192];
	ssize_t result;
	void *map;

	memset(bytes, 1, sizeof(bytes));
	do {
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, MIB);
		if (map != MAP_FAILED)
			munmap(map, 4096);
		result = pwrite(file, bytes, sizeof(bytes), 2 * MIB);
		if (result > 0)
			result = pread(file, bytes, sizeof(bytes), 2 * MIB);
		if (result < 0)
			CHECK_EQ(errno, ENXIO);
	} while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST));
	check_error(pread(file, bytes, 1, 0), ENXIO);
	check_error(pwrite(file, bytes, 1, 0), ENXIO);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENXIO);
	return NULL;
}

TEST(destroyed_while_it_is_read_and_written)
{
	struct held before = module_holds();
	pthread_t threads[2];
	int file;

	for (int turn = 0; turn < 10; turn++) {
		over = false;
		set_up();
		file = open("/dev/vmm/files", O_RDWR);
		REQUIRE(file >= 0);
		for (int i = 0; i < 2; i++)
			REQUIRE(pthread_create(&threads[i], NULL, hammer, &file) == 0);
		usleep(2000);
		machine_destroy(&machine);
		__atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		close(file);
	}
	check_held(before);
}

TEST(memory_is_in_the_statistics)
{
	uint64_t *stats;
	int count, found = 0;

	set_up();
	machine.memory[0] = 1;
	stats = vm_get_stats(machine.vcpu, NULL, &count);
	REQUIRE(stats);
	for (int i = 0; i < count; i++) {
		const char *name = vm_get_stat_desc(machine.ctx, i);

		if (strcmp(name, "Resident memory") == 0) {
			CHECK(stats[i] >= 4096 && stats[i] <= 8 * MIB);
			found++;
		} else if (strcmp(name, "Wired memory") == 0) {
			CHECK_EQ(stats[i], 0);
			found++;
		}
	}
	CHECK_EQ(found, 2);
	machine_destroy(&machine);
}
