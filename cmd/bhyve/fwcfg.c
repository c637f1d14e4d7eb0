// SPDX-License-Identifier: BSD-2-Clause
/*
 * The firmware configuration device's ports, its DMA, and its standard items.
 */
#include "fwcfg.h"
#include "diag.h"
#include "fwcfg_items.h"
#include "inout.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SELECTOR_PORT FWCFG_PORT
#define DATA_PORT     (FWCFG_PORT + 1)
#define DMA_PORT      (FWCFG_PORT + 4)

#define ID_TRADITIONAL 0x1
#define ID_DMA	       0x2

#define DMA_SIGNATURE UINT64_C(0x51454d5520434647) /* "QEMU CFG" */

#define DMA_ERROR  0x01u
#define DMA_READ   0x02u
#define DMA_SKIP   0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE  0x10u

#define TEXT_OF(number)	 TEXT_OF_(number)
#define TEXT_OF_(number) #number

#define NAME_LENGTH 55
_Static_assert(NAME_LENGTH + 1 == FWCFG_FILE_NAME_MAX, "the longest name of a file");

/* Bits of a selector that ask for writing or for another architecture's items. */
#define KEY_WRITE 0x4000

/* What a guest puts into memory to have something done; all big-endian. */
struct dma_request {
	uint32_t control;
	uint32_t length;
	uint64_t address;
};
_Static_assert(sizeof(struct dma_request) == 16, "fw_cfg DMA request");

static struct {
	struct vmctx *ctx; /* constant */

	pthread_mutex_t lock;	       /* for all below */
	const struct fwcfg_item *item; /* selected */
	size_t offset;		       /* within it; at most its length */
	uint32_t dma_high;
} fwcfg = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- what a guest does ------------------------------------------------------ */

static void select_item(uint16_t key)
{
	fwcfg.item = fwcfg_item(key & (uint16_t)~KEY_WRITE);
	fwcfg.offset = 0;
}

/* Takes up to 'length' bytes of the item; the rest of 'data' (may be NULL) is zeroed. */
static void read_item(uint8_t *data, size_t length)
{
	size_t left = fwcfg.item->length - fwcfg.offset;
	size_t taken = length < left ? length : left;

	if (data && taken)
		memcpy(data, fwcfg.item->data + fwcfg.offset, taken);
	if (data)
		memset(data + taken, 0, length - taken);
	fwcfg.offset += taken;
}

/* Returns the control word that the guest reads as the result: zero is success. */
static uint32_t run_dma(uint32_t control, uint64_t address, uint32_t length)
{
	uint8_t *data = NULL;

	if (control & DMA_SELECT)
		select_item((uint16_t)(control >> 16));
	/* Every item is read-only. */
	if (control & DMA_WRITE)
		return DMA_ERROR;
	if (!(control & (DMA_READ | DMA_SKIP)) || length == 0)
		return 0;
	if (control & DMA_READ) {
		data = vm_map_gpa(fwcfg.ctx, address, length);
		if (!data)
			return DMA_ERROR;
	}
	read_item(data, length);
	return 0;
}

/* The request is copied first: the guest may change it while we look. */
static void start_dma(uint64_t address)
{
	struct dma_request request;
	uint8_t *there = vm_map_gpa(fwcfg.ctx, address, sizeof(request));
	uint32_t result;

	if (!there)
		return;
	memcpy(&request, there, sizeof(request));
	result = htobe32(run_dma(be32toh(request.control), be64toh(request.address),
				 be32toh(request.length)));
	memcpy(there + offsetof(struct dma_request, control), &result, sizeof(result));
}

static void selector_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&fwcfg.lock);
	select_item((uint16_t)value);
	pthread_mutex_unlock(&fwcfg.lock);
}

static uint32_t item_data_read(void *arg, unsigned offset, unsigned bytes)
{
	uint8_t byte;

	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&fwcfg.lock);
	read_item(&byte, 1);
	pthread_mutex_unlock(&fwcfg.lock);
	return byte;
}

/* The register is big-endian, so its first port holds the signature's first bytes. */
static uint32_t dma_read(void *arg, unsigned offset, unsigned bytes)
{
	uint64_t signature = htobe64(DMA_SIGNATURE);

	(void)arg, (void)bytes;
	return (uint32_t)(signature >> (8 * offset));
}

static void dma_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg, (void)bytes;
	pthread_mutex_lock(&fwcfg.lock);
	if (offset == 0) {
		fwcfg.dma_high = be32toh(value);
	} else if (offset == 4) {
		uint64_t address = (uint64_t)fwcfg.dma_high << 32 | be32toh(value);

		fwcfg.dma_high = 0;
		start_dma(address);
	}
	pthread_mutex_unlock(&fwcfg.lock);
}

static const struct inout_range ranges[] = {
	{ "fwcfg selector", SELECTOR_PORT, 1, INOUT_WORD, NULL, selector_write, NULL },
	{ "fwcfg data", DATA_PORT, 1, INOUT_BYTE, item_data_read, NULL, NULL },
	{ "fwcfg dma", DMA_PORT, 8, INOUT_DWORD, dma_read, dma_write, NULL },
};

/* --- what is in it ----------------------------------------------------------- */

/* Reads a whole file; its size is that of the buffer. */
static uint8_t *read_file(const char *option, const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	uint8_t *data;
	ssize_t got = 1;

	if (fd < 0 || fstat(fd, &status))
		fatal("-f %s: %s", option, strerror(errno));
	if (!S_ISREG(status.st_mode))
		fatal("-f %s: not a regular file", option);
	data = malloc((size_t)status.st_size + 1);
	if (!data)
		fatal("-f %s: %s", option, strerror(ENOMEM));
	for (*length = 0; got > 0 && *length < (size_t)status.st_size; *length += (size_t)got) {
		got = read(fd, data + *length, (size_t)status.st_size - *length);
		if (got < 0)
			fatal("-f %s: %s", option, strerror(errno));
	}
	close(fd);
	return data;
}

/*
 * A bzImage is two items: the real-mode setup, whose length its header gives
 * in sectors after the boot sector (Linux, Documentation/arch/x86/boot), and the
 * rest. Any other kernel is one.
 */
static int add_kernel(const uint8_t *data, size_t length)
{
	size_t setup = 0;
	int error;

	if (length > 0x206 && memcmp(data + 0x202, "HdrS", 4) == 0)
		setup = ((data[0x1f1] ? data[0x1f1] : 4) + (size_t)1) * 512;
	if (setup > length)
		return -ENOEXEC;
	error = fwcfg_set_integer(FWCFG_SETUP_SIZE, setup, 4);
	if (!error)
		error = fwcfg_set(FWCFG_SETUP_DATA, data, setup);
	if (!error)
		error = fwcfg_set_integer(FWCFG_KERNEL_SIZE, length - setup, 4);
	return error ? error : fwcfg_set(FWCFG_KERNEL_DATA, data + setup, length - setup);
}

static int add_pair(uint16_t size_key, uint16_t data_key, const uint8_t *data, size_t length)
{
	int error = fwcfg_set_integer(size_key, length, 4);

	return error ? error : fwcfg_set(data_key, data, length);
}

/* Has the numbered item its contents already? */
static bool is_set(uint16_t key)
{
	return fwcfg_item(key)->data != NULL;
}

static const char *item_problem(int error)
{
	switch (error) {
	case -EEXIST:
		return "there is one of that name already";
	case -ENAMETOOLONG:
		return "a name has 1 to " TEXT_OF(NAME_LENGTH) " characters";
	case -ENOSPC:
		return "there can be " TEXT_OF(FWCFG_FILES_MAX) " files";
	case -ENOEXEC:
		return "the file is shorter than its header says";
	default:
		return strerror(-error);
	}
}

static int add_named(const char *name, const uint8_t *data, size_t length)
{
	static const uint8_t nothing;

	if (strcmp(name, "kernel") == 0)
		return is_set(FWCFG_KERNEL_DATA) ? -EEXIST : add_kernel(data, length);
	if (strcmp(name, "initrd") == 0)
		return is_set(FWCFG_INITRD_DATA) ?
			       -EEXIST :
			       add_pair(FWCFG_INITRD_SIZE, FWCFG_INITRD_DATA, data, length);
	/* A command line ends with a zero, which a "string" has behind it. */
	if (strcmp(name, "cmdline") == 0)
		return is_set(FWCFG_CMDLINE_DATA) ?
			       -EEXIST :
			       add_pair(FWCFG_CMDLINE_SIZE, FWCFG_CMDLINE_DATA, data, length + 1);
	return fwcfg_add_file(name, length ? data : &nothing, length);
}

void fwcfg_add_option(const char *option)
{
	const char *comma = strchr(option, ',');
	uint8_t *data = NULL;
	size_t length = 0;
	char *name;
	int error;

	if (comma && strncmp(comma, ",string=", 8) == 0) {
		data = (uint8_t *)strdup(comma + 8);
		length = strlen(comma + 8);
	} else if (comma && strncmp(comma, ",file=", 6) == 0) {
		data = read_file(option, comma + 6, &length);
	} else {
		fatal("-f %s: not NAME,string=TEXT or NAME,file=PATH", option);
	}
	name = strndup(option, (size_t)(comma - option));
	if (!data || !name)
		fatal("-f %s: %s", option, strerror(ENOMEM));
	data[length] = '\0';
	error = add_named(name, data, length);
	if (error)
		fatal("-f %s: %s", option, item_problem(error));
	free(name);
	free(data);
}

/* "etc/e820": where RAM is, as QEMU has it; firmware adds reserved ranges. */
static int add_memory_map(struct vmctx *ctx)
{
	struct {
		uint64_t address;
		uint64_t length;
		uint32_t type;
	} __attribute__((packed)) entries[2] = {
		{ 0, htole64(vm_get_lowmem_size(ctx)), htole32(1) },
		{ htole64(vm_get_highmem_base(ctx)), htole64(vm_get_highmem_size(ctx)),
		  htole32(1) },
	};
	size_t count = vm_get_highmem_size(ctx) ? 2 : 1;

	return fwcfg_add_file("etc/e820", entries, count * sizeof(entries[0]));
}

static int add_standard_items(struct vmctx *ctx, unsigned cpus, const uint8_t uuid[16])
{
	uint64_t ram = vm_get_lowmem_size(ctx) + vm_get_highmem_size(ctx);
	int error = fwcfg_set(FWCFG_SIGNATURE, "QEMU", 4);

	if (!error)
		error = fwcfg_set_integer(FWCFG_ID, ID_TRADITIONAL | ID_DMA, 4);
	if (!error)
		error = fwcfg_set(FWCFG_UUID, uuid, 16);
	if (!error)
		error = fwcfg_set_integer(FWCFG_RAM_SIZE, ram, 8);
	if (!error)
		error = fwcfg_set_integer(FWCFG_NOGRAPHIC, 1, 2);
	if (!error)
		error = fwcfg_set_integer(FWCFG_NB_CPUS, cpus, 2);
	if (!error)
		error = fwcfg_set_integer(FWCFG_MAX_CPUS, cpus, 2);
	if (!error)
		error = add_memory_map(ctx);
	return error ? error : fwcfg_make_directory();
}

void fwcfg_init(struct vmctx *ctx, unsigned cpus, const uint8_t uuid[16])
{
	int error = add_standard_items(ctx, cpus, uuid);

	if (error)
		fatal("fwcfg: %s", strerror(-error));
	fwcfg.ctx = ctx;
	select_item(FWCFG_SIGNATURE);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (inout_register(&ranges[i]))
			fatal("fwcfg: the ports of %s are taken", ranges[i].name);
}
