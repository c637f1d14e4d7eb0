// SPDX-License-Identifier: BSD-2-Clause
/*
 * Firmware; bootrom.h. Code and variables are one segment of device memory, so that the
 * guest reads both without an exit; a write to either is a device access of ours.
 */
#include "bootrom.h"
#include "diag.h"
#include "flash.h"
#include "mmio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define END	     ((uint64_t)1 << 32)
#define SIZE_MAX_ROM (16u << 20)
#define PAGE	     4096u

/* Filled by bootrom_init(), constant afterwards. */
static struct {
	struct vmctx *ctx;
	int vars; /* the file, or -1 */
	size_t vars_length;
	size_t code_length;
	struct flash flash;
} rom = { .vars = -1 };

static uint64_t vars_gpa(void)
{
	return END - rom.code_length - rom.vars_length;
}

/* --- the flash ------------------------------------------------------------ */

static int vars_save(void *arg, size_t offset, size_t bytes)
{
	(void)arg;
	if (pwrite(rom.vars, rom.flash.memory + offset, bytes, (off_t)offset) == (ssize_t)bytes)
		return 0;
	complain("-l bootrom: the file of the variables: %s", strerror(errno));
	return -EIO;
}

/* While the guest reads the status, its reads must come to us. */
static void vars_array_mode(void *arg, bool on)
{
	int error = on ? vm_mmap_memseg(rom.ctx, vars_gpa(), VM_BOOTROM, 0, rom.vars_length,
					PROT_READ) :
			 vm_munmap_memseg(rom.ctx, vars_gpa(), rom.vars_length);

	(void)arg;
	if (error)
		complain("-l bootrom: the variables: %s", strerror(errno));
}

static uint64_t vars_read(void *arg, uint64_t offset, unsigned bytes)
{
	return flash_read(arg, offset, bytes);
}

static void vars_write(void *arg, uint64_t offset, unsigned bytes, uint64_t value)
{
	flash_write(arg, offset, bytes, value);
}

static struct mmio_range vars_range = {
	.name = "firmware variables",
	.read = vars_read,
	.write = vars_write,
	.arg = &rom.flash,
};

/* --- files ---------------------------------------------------------------- */

static int open_file(const char *path, int flags, size_t *length)
{
	int file = open(path, flags | O_CLOEXEC);
	struct stat status;

	if (file < 0 || fstat(file, &status))
		fatal("-l bootrom: %s: %s", path, strerror(errno));
	if (status.st_size == 0 || status.st_size % PAGE || status.st_size > SIZE_MAX_ROM)
		fatal("-l bootrom: %s: its size is no multiple of 4K up to 16M", path);
	*length = (size_t)status.st_size;
	return file;
}

static void read_file(int file, const char *path, uint8_t *to, size_t length)
{
	if (pread(file, to, length, 0) != (ssize_t)length)
		fatal("-l bootrom: %s: cannot be read", path);
}

/* Two guests with the same variables destroy them. */
static void open_vars(const char *path)
{
	rom.vars = open_file(path, O_RDWR, &rom.vars_length);
	if (flock(rom.vars, LOCK_EX | LOCK_NB))
		fatal("-l bootrom: %s: another bhyve has it", path);
}

/* --- the segment ---------------------------------------------------------- */

static void map_piece(uint64_t gpa, size_t offset, size_t length, int prot)
{
	if (length && vm_mmap_memseg(rom.ctx, gpa, VM_BOOTROM, (vm_ooffset_t)offset, length, prot))
		fatal("-l bootrom: %s", strerror(errno));
}

static void start_flash(uint8_t *memory)
{
	rom.flash.memory = memory;
	rom.flash.length = rom.vars_length;
	rom.flash.save = vars_save;
	rom.flash.array_mode = vars_array_mode;
	flash_init(&rom.flash);
	vars_range.base = vars_gpa();
	vars_range.length = rom.vars_length;
	if (mmio_register(&vars_range))
		fatal("-l bootrom: the memory of the variables is taken");
}

void bootrom_init(struct vmctx *ctx, const char *files)
{
	char *copy = strdup(files);
	char *vars = copy;
	const char *code = strsep(&vars, ",");
	uint8_t *memory;
	int file;

	rom.ctx = ctx;
	if (!code || !*code)
		fatal("-l bootrom: no file (bootrom,CODE[,VARS])");
	file = open_file(code, O_RDONLY, &rom.code_length);
	if (vars)
		open_vars(vars);
	if (rom.code_length + rom.vars_length > SIZE_MAX_ROM)
		fatal("-l bootrom: more than 16M");
	memory = vm_create_devmem(ctx, VM_BOOTROM, "bootrom", rom.vars_length + rom.code_length);
	if (memory == MAP_FAILED)
		fatal("-l bootrom: %s", strerror(errno));
	read_file(file, code, memory + rom.vars_length, rom.code_length);
	close(file);
	if (vars)
		read_file(rom.vars, vars, memory, rom.vars_length);
	map_piece(vars_gpa(), 0, rom.vars_length, PROT_READ);
	map_piece(END - rom.code_length, rom.vars_length, rom.code_length, PROT_READ | PROT_EXEC);
	if (vars)
		start_flash(memory);
	free(copy);
}
