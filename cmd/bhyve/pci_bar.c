// SPDX-License-Identifier: BSD-2-Clause
/*
 * Base address registers. A guest's access that comes here is looked up among the
 * BARs that are decoded; pages of an assigned device that are mapped into the
 * guest cause no exit and do not come here.
 */
#include "diag.h"
#include "inout.h"
#include "layout.h"
#include "mmio.h"
#include "pci.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BAR_IO		 0x1u
#define BAR_64BIT	 0x4u
#define BAR_PREFETCHABLE 0x8u
#define ROM_ENABLE	 0x1u

#define IO_WINDOW     0x2000u
#define IO_WINDOW_END 0x10000u

#define GIB		((uint64_t)1 << 30)
#define WINDOW64_ALIGN	(32 * GIB)
#define WINDOW64_LENGTH (256 * GIB)
#define NESTED_LIMIT	((uint64_t)1 << 47) /* what the module's tables reach */

#define FIRMWARE_WINDOW ((uint64_t)1 << 31)

#define PAGE ((uint64_t)4096)

#define BAR_MAX (PCI_SLOTS * PCI_FUNCTIONS * PCI_BARS)

/* Filled before vCPUs run, constant afterwards. */
static struct pci_bar *bars[BAR_MAX];
static unsigned bar_count;
static struct pci_windows windows;
static bool for_firmware;

/* For reading: an access to a BAR is under way. For writing: a BAR moves. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

/* --- windows ----------------------------------------------------------------------- */

/* The first address that the processor cannot name. */
static uint64_t address_limit(void)
{
	unsigned eax = 0, ebx, ecx, edx;
	uint64_t limit;

	if (!__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx) || (eax & 0xff) < 36)
		return (uint64_t)1 << 36;
	limit = (eax & 0xff) < 47 ? (uint64_t)1 << (eax & 0xff) : NESTED_LIMIT;
	return limit;
}

void pci_windows_for_firmware(void)
{
	for_firmware = true;
}

static uint64_t memory32_start(struct vmctx *ctx)
{
	uint64_t memory = vm_get_lowmem_size(ctx);

	if (!for_firmware)
		return vm_get_lowmem_limit(ctx);
	return memory > FIRMWARE_WINDOW ? memory : FIRMWARE_WINDOW;
}

void pci_windows_of(struct vmctx *ctx, struct pci_windows *result)
{
	uint64_t memory_end = vm_get_highmem_base(ctx) + vm_get_highmem_size(ctx);
	uint64_t base = (memory_end + WINDOW64_ALIGN - 1) & ~(WINDOW64_ALIGN - 1);
	uint64_t end = base + WINDOW64_LENGTH;
	uint64_t limit = address_limit();

	end = end < limit ? end : limit;
	*result = (struct pci_windows){
		.memory32 = memory32_start(ctx),
		.memory32_end = PCI_WINDOW_LIMIT,
		.memory64 = base < end ? base : end,
		.memory64_end = end,
		.io = IO_WINDOW,
		.io_end = IO_WINDOW_END,
	};
}

static bool bar_lies_within(const struct pci_bar *bar, uint64_t address, uint64_t start,
			    uint64_t end)
{
	return address >= start && address < end && bar->size <= end - address;
}

/* The host bridge forwards only what is in a window. */
static bool in_window(const struct pci_bar *bar, uint64_t address)
{
	if (bar->kind == PCI_BAR_IO)
		return bar_lies_within(bar, address, windows.io, windows.io_end);
	return bar_lies_within(bar, address, windows.memory32, windows.memory32_end) ||
	       bar_lies_within(bar, address, windows.memory64, windows.memory64_end);
}

/* --- registers ---------------------------------------------------------------------- */

static unsigned register_of(const struct pci_bar *bar)
{
	return bar->index == PCI_BAR_ROM ? PCI_ROM : PCI_BAR(bar->index);
}

static void set_writable(struct pci_function *function, unsigned offset, uint32_t bits)
{
	for (unsigned i = 0; i < 4; i++)
		function->writable[offset + i] = (uint8_t)(bits >> (8 * i));
}

static uint32_t low_bits(const struct pci_bar *bar)
{
	if (bar->kind == PCI_BAR_IO)
		return BAR_IO;
	return (bar->kind == PCI_BAR_MEMORY64 ? BAR_64BIT : 0) |
	       (bar->prefetchable ? BAR_PREFETCHABLE : 0);
}

static uint64_t round_up(uint64_t size, uint64_t least)
{
	uint64_t power = least;

	while (power < size)
		power <<= 1;
	return power;
}

void pci_bar_add(struct pci_function *function, unsigned index, enum pci_bar_kind kind,
		 bool prefetchable, uint64_t size)
{
	struct pci_bar *bar = &function->bar[index];
	uint64_t mask;

	*bar = (struct pci_bar){
		.function = function,
		.index = index,
		.kind = kind,
		.prefetchable = prefetchable,
		/* Two devices' BARs never share a page: neither could be mapped then. */
		.size = round_up(size, kind == PCI_BAR_IO ? 4 : PAGE),
	};
	mask = ~(bar->size - 1);
	if (index == PCI_BAR_ROM) {
		set_writable(function, PCI_ROM, (uint32_t)mask | ROM_ENABLE);
	} else {
		pci_set32(function, PCI_BAR(index), low_bits(bar));
		set_writable(function, PCI_BAR(index), (uint32_t)mask);
	}
	if (kind == PCI_BAR_MEMORY64)
		set_writable(function, PCI_BAR(index + 1), (uint32_t)(mask >> 32));
	if (bar_count < BAR_MAX)
		bars[bar_count++] = bar;
}

static uint64_t register_address(const struct pci_bar *bar)
{
	uint64_t address = pci_get32(bar->function, register_of(bar));

	if (bar->kind == PCI_BAR_MEMORY64)
		address |= (uint64_t)pci_get32(bar->function, PCI_BAR(bar->index + 1)) << 32;
	return address & ~(bar->size - 1);
}

static void set_bar_register(struct pci_bar *bar, uint64_t address)
{
	pci_set32(bar->function, register_of(bar), (uint32_t)address | low_bits(bar));
	if (bar->kind == PCI_BAR_MEMORY64)
		pci_set32(bar->function, PCI_BAR(bar->index + 1), (uint32_t)(address >> 32));
}

static bool is_enabled(const struct pci_bar *bar)
{
	uint16_t command = pci_get16(bar->function, PCI_COMMAND);

	if (bar->kind == PCI_BAR_IO)
		return command & PCI_COMMAND_IO;
	if (bar->index == PCI_BAR_ROM && !(pci_get32(bar->function, PCI_ROM) & ROM_ENABLE))
		return false;
	return command & PCI_COMMAND_MEMORY;
}

/* --- moving --------------------------------------------------------------- */

static void set_decoded(struct pci_bar *bar, bool decoded)
{
	const struct pci_driver *driver = bar->function->driver;

	if (bar->decoded == decoded)
		return;
	bar->decoded = decoded;
	if (driver->bar_moved)
		driver->bar_moved(bar->function, bar);
}

static void move_bar(struct pci_bar *bar, bool decoded, uint64_t address)
{
	pthread_rwlock_wrlock(&lock);
	set_decoded(bar, false);
	bar->address = address;
	set_decoded(bar, decoded);
	pthread_rwlock_unlock(&lock);
}

static void update_bar(struct pci_bar *bar)
{
	uint64_t address = register_address(bar);
	bool decoded = is_enabled(bar) && in_window(bar, address);

	if (decoded != bar->decoded || (decoded && address != bar->address))
		move_bar(bar, decoded, address);
}

void pci_bars_update(struct pci_function *function)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (function->bar[i].size)
			update_bar(&function->bar[i]);
}

void pci_bars_written(struct pci_function *function, unsigned offset, unsigned bytes)
{
	bool bar = offset + bytes > PCI_BAR(0) && offset < PCI_BAR(6);
	bool rom = offset + bytes > PCI_ROM && offset < PCI_ROM + 4;

	if (bar || rom || (offset < PCI_COMMAND + 2 && offset + bytes > PCI_COMMAND))
		pci_bars_update(function);
}

/* --- accesses ------------------------------------------------------------- */

/* The BAR that has all of an access, or NULL. With the lock. */
static struct pci_bar *find_decoded_bar(bool io, uint64_t address, unsigned bytes)
{
	for (unsigned i = 0; i < bar_count; i++) {
		struct pci_bar *bar = bars[i];

		if (bar->decoded && (bar->kind == PCI_BAR_IO) == io && address >= bar->address &&
		    address - bar->address < bar->size &&
		    bytes <= bar->size - (address - bar->address))
			return bar;
	}
	return NULL;
}

static uint64_t decoded_bar_read(bool io, uint64_t address, unsigned bytes)
{
	uint64_t value = UINT64_MAX;
	struct pci_bar *bar;

	pthread_rwlock_rdlock(&lock);
	bar = find_decoded_bar(io, address, bytes);
	if (bar)
		value = bar->function->driver->bar_read(bar->function, bar->index,
							address - bar->address, bytes);
	pthread_rwlock_unlock(&lock);
	return value;
}

static void decoded_bar_write(bool io, uint64_t address, unsigned bytes, uint64_t value)
{
	struct pci_bar *bar;

	pthread_rwlock_rdlock(&lock);
	bar = find_decoded_bar(io, address, bytes);
	if (bar)
		bar->function->driver->bar_write(bar->function, bar->index, address - bar->address,
						 bytes, value);
	pthread_rwlock_unlock(&lock);
}

static uint64_t memory_window_read(void *arg, uint64_t offset, unsigned bytes)
{
	return decoded_bar_read(false, *(uint64_t *)arg + offset, bytes);
}

static void memory_window_write(void *arg, uint64_t offset, unsigned bytes, uint64_t value)
{
	decoded_bar_write(false, *(uint64_t *)arg + offset, bytes, value);
}

static uint32_t port_window_read(void *arg, unsigned offset, unsigned bytes)
{
	(void)arg;
	return (uint32_t)decoded_bar_read(true, IO_WINDOW + offset, bytes);
}

static void port_window_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg;
	decoded_bar_write(true, IO_WINDOW + offset, bytes, value);
}

/* --- at the start --------------------------------------------------------- */

/* The largest first, so that all are aligned without gaps. */
static int by_size(const void *a, const void *b)
{
	const struct pci_bar *const *first = a, *const *second = b;

	if ((*first)->size != (*second)->size)
		return (*first)->size < (*second)->size ? 1 : -1;
	if ((*first)->function->slot != (*second)->function->slot)
		return (*first)->function->slot < (*second)->function->slot ? -1 : 1;
	return (int)(*first)->index - (int)(*second)->index;
}

/* What has been given away of a window. */
struct cursor {
	uint64_t next;
	uint64_t end;
};

static bool place_bar(struct pci_bar *bar, struct cursor *cursor)
{
	uint64_t address = (cursor->next + bar->size - 1) & ~(bar->size - 1);

	if (address < cursor->next || address > cursor->end || cursor->end - address < bar->size)
		return false;
	cursor->next = address + bar->size;
	set_bar_register(bar, address);
	return true;
}

/* For a BAR without a place the guest's firmware or system may find one. */
static void place_all_bars(void)
{
	struct cursor memory32 = { windows.memory32, windows.memory32_end };
	struct cursor memory64 = { windows.memory64, windows.memory64_end };
	struct cursor io = { windows.io, windows.io_end };

	qsort(bars, bar_count, sizeof(bars[0]), by_size);
	for (unsigned i = 0; i < bar_count; i++) {
		struct pci_bar *bar = bars[i];
		bool placed = bar->kind == PCI_BAR_IO ? place_bar(bar, &io) :
			      bar->kind == PCI_BAR_MEMORY64 && place_bar(bar, &memory64) ?
							true :
							place_bar(bar, &memory32);

		if (!placed)
			complain("-s %u:%u: no room for a BAR of %#llx bytes", bar->function->slot,
				 bar->function->number, (unsigned long long)bar->size);
	}
}

static struct mmio_range memory_ranges[2] = {
	{ .name = "pci memory", .read = memory_window_read, .write = memory_window_write },
	{ .name = "pci memory above 4G", .read = memory_window_read, .write = memory_window_write },
};

static const struct inout_range port_range = {
	.name = "pci ports",
	.base = IO_WINDOW,
	.count = IO_WINDOW_END - IO_WINDOW,
	.widths = INOUT_ANY,
	.read = port_window_read,
	.write = port_window_write,
};

static void claim_memory(struct mmio_range *range, uint64_t *start, uint64_t end)
{
	if (*start == end)
		return;
	range->base = *start;
	range->length = end - *start;
	range->arg = start;
	if (mmio_register(range))
		fatal("pci: its memory is taken");
}

static bool any_bar(bool io)
{
	for (unsigned i = 0; i < bar_count; i++)
		if ((bars[i]->kind == PCI_BAR_IO) == io)
			return true;
	return false;
}

void pci_bars_start(struct vmctx *ctx)
{
	pci_windows_of(ctx, &windows);
	place_all_bars();
	if (any_bar(false)) {
		claim_memory(&memory_ranges[0], &windows.memory32, windows.memory32_end);
		claim_memory(&memory_ranges[1], &windows.memory64, windows.memory64_end);
	}
	if (any_bar(true) && inout_register(&port_range))
		fatal("pci: its ports are taken");
}

void pci_bars_reset(void)
{
	bar_count = 0;
	for_firmware = false;
}
