// SPDX-License-Identifier: BSD-2-Clause
/* Guest memory: segments and their backing. The map is in memmap.c. */
#include "vm/memory.h"

#include "vm/segment.h"
#include "vm/vcpu.h"

/*
 * The word that says what backs a chunk: 0 nothing yet, otherwise an address
 * whose lowest bit tells a table of single pages (1) from a 2 MiB page (0).
 */
#define CHUNK_IS_TABLE 1ul

#define MEMSEG_MAX_LEN (1ull << 44)

static inline uintptr_t chunk_load(const struct memseg *seg, uint64_t offset)
{
	return __atomic_load_n(&seg->chunk[offset / CHUNK_SIZE], __ATOMIC_ACQUIRE);
}

static inline void **chunk_table(uintptr_t chunk)
{
	return (void **)(chunk & ~CHUNK_IS_TABLE);
}

static inline unsigned int chunk_page_index(uint64_t offset)
{
	return (unsigned int)(offset % CHUNK_SIZE / OS_PAGE_SIZE);
}

void *memseg_peek(const struct memseg *seg, uint64_t offset, bool *huge)
{
	uintptr_t chunk = chunk_load(seg, offset);

	*huge = chunk && !(chunk & CHUNK_IS_TABLE);
	if (!chunk)
		return NULL;
	if (*huge)
		return (char *)chunk + offset % CHUNK_SIZE / OS_PAGE_SIZE * OS_PAGE_SIZE;
	return __atomic_load_n(&chunk_table(chunk)[chunk_page_index(offset)], __ATOMIC_ACQUIRE);
}

/*
 * A table of single pages. Charged: there may be one for each 2 MiB of a segment that is much
 * larger than what its user may have.
 */
static void **table_alloc(struct os_account *account)
{
	void **table;

	if (os_account_charge(account, OS_PAGE_SIZE))
		return NULL;
	table = os_page_alloc();
	if (!table)
		os_account_uncharge(account, OS_PAGE_SIZE);
	return table;
}

static void table_free(struct os_account *account, void **table)
{
	os_account_uncharge(account, OS_PAGE_SIZE);
	os_page_free(table);
}

/* Backing for a chunk that has none: a 2 MiB page if it is whole, else a table. */
static int chunk_back(struct memseg *seg, uint64_t offset)
{
	uint64_t start = offset / CHUNK_SIZE * CHUNK_SIZE;
	uintptr_t chunk = 0;

	if (seg->len - start >= CHUNK_SIZE)
		chunk = (uintptr_t)os_ram_alloc(seg->account, 9);
	if (!chunk) {
		chunk = (uintptr_t)table_alloc(seg->account);
		if (!chunk)
			return -ENOMEM;
		chunk |= CHUNK_IS_TABLE;
	} else {
		seg->resident += CHUNK_SIZE;
	}
	__atomic_store_n(&seg->chunk[offset / CHUNK_SIZE], chunk, __ATOMIC_RELEASE);
	return 0;
}

static int page_back(struct memseg *seg, uint64_t offset)
{
	void **slot = &chunk_table(chunk_load(seg, offset))[chunk_page_index(offset)];
	void *page = os_ram_alloc(seg->account, 0);

	if (!page)
		return -ENOMEM;
	seg->resident += OS_PAGE_SIZE;
	__atomic_store_n(slot, page, __ATOMIC_RELEASE);
	return 0;
}

void *memseg_back(struct memseg *seg, uint64_t offset, int *error)
{
	void *page;
	bool huge;

	*error = 0;
	if (!chunk_load(seg, offset))
		*error = chunk_back(seg, offset);
	if (*error)
		return NULL;
	page = memseg_peek(seg, offset, &huge);
	if (page)
		return page;
	*error = page_back(seg, offset);
	return *error ? NULL : memseg_peek(seg, offset, &huge);
}

static uint64_t chunk_unbacked(uintptr_t chunk, uint64_t offset, uint64_t len)
{
	uint64_t bytes = 0;

	if (!chunk)
		return len;
	if (!(chunk & CHUNK_IS_TABLE))
		return 0;
	for (uint64_t end = offset + len; offset < end; offset += OS_PAGE_SIZE) {
		if (!__atomic_load_n(&chunk_table(chunk)[chunk_page_index(offset)],
				     __ATOMIC_ACQUIRE))
			bytes += OS_PAGE_SIZE;
	}
	return bytes;
}

uint64_t memseg_unbacked(const struct memseg *seg, uint64_t offset, uint64_t len)
{
	uint64_t bytes = 0;
	uint64_t step;

	for (uint64_t end = offset + len; offset < end; offset += step) {
		step = min_t(uint64_t, CHUNK_SIZE - offset % CHUNK_SIZE, end - offset);
		bytes += chunk_unbacked(chunk_load(seg, offset), offset, step);
	}
	return bytes;
}

int memseg_populate(struct vm *vm, struct memseg *seg, uint64_t offset)
{
	int error;

	os_mutex_lock(&vm->memory.lock);
	(void)memseg_back(seg, offset, &error);
	os_mutex_unlock(&vm->memory.lock);
	return error;
}

void *memory_page_get(struct vm *vm, int segid, uint64_t offset, int *error)
{
	struct memseg *seg = NULL;
	void *page = NULL;

	os_mutex_lock(&vm->memory.lock);
	if (READ_ONCE(vm->destroyed))
		*error = -ENXIO;
	else if (!(seg = memory_segment(vm, segid)) || offset >= seg->len)
		*error = -EINVAL;
	else
		page = memseg_back(seg, offset, error);
	if (page)
		os_ram_get(page);
	os_mutex_unlock(&vm->memory.lock);
	return page;
}

static void chunk_free(struct os_account *account, uintptr_t chunk)
{
	void **table = chunk_table(chunk);

	if (!chunk)
		return;
	if (!(chunk & CHUNK_IS_TABLE)) {
		os_ram_free(account, (void *)chunk, 9);
		return;
	}
	for (unsigned int i = 0; i < CHUNK_PAGES; i++) {
		if (table[i])
			os_ram_free(account, table[i], 0);
	}
	table_free(account, table);
}

/* The words of the chunks. Charged like the tables. */
static int chunks_alloc(struct memseg *seg)
{
	uint64_t size = segment_chunks(seg) * sizeof(seg->chunk[0]);

	if (os_account_charge(seg->account, size))
		return -ENOMEM;
	seg->chunk = os_alloc(size);
	if (seg->chunk)
		return 0;
	os_account_uncharge(seg->account, size);
	return -ENOMEM;
}

static void chunks_free(struct memseg *seg)
{
	os_account_uncharge(seg->account, segment_chunks(seg) * sizeof(seg->chunk[0]));
	os_free(seg->chunk);
}

static void segment_free(struct memseg *seg)
{
	for (uint64_t i = 0; i < segment_chunks(seg); i++) {
		chunk_free(seg->account, seg->chunk[i]);
		os_yield();
	}
	chunks_free(seg);
	os_free(seg);
}

static struct memseg *segment_create(struct os_account *account, uint64_t len, const char *name)
{
	struct memseg *seg = os_alloc(sizeof(*seg));

	if (!seg)
		return NULL;
	seg->account = account;
	seg->len = len;
	strscpy(seg->name, name, sizeof(seg->name));
	if (chunks_alloc(seg)) {
		os_free(seg);
		return NULL;
	}
	return seg;
}

/* The letters a device node's name may have. */
static bool segment_name_ok(const char *name)
{
	for (; *name; name++) {
		if (*name <= ' ' || *name > '~' || *name == '/' || *name == '!')
			return false;
	}
	return true;
}

static int segment_check(struct vm *vm, int segid, uint64_t len, const char *name)
{
	if (segid < 0 || segid >= MEMSEG_MAX)
		return -EINVAL;
	if (len == 0 || len > MEMSEG_MAX_LEN || len % OS_PAGE_SIZE)
		return -EINVAL;
	if (!segment_name_ok(name))
		return -EINVAL;
	if (vm->memory.seg[segid] || (*name && memory_segment_by_name(vm, name)))
		return -EEXIST;
	return 0;
}

int memory_alloc_segment(struct vm *vm, int segid, uint64_t len, const char *name)
{
	struct memseg *seg;
	int error = segment_check(vm, segid, len, name);

	if (error)
		return error;
	seg = segment_create(vm->account, len, name);
	if (!seg)
		return -ENOMEM;
	seg->id = segid;

	os_mutex_lock(&vm->memory.lock);
	vm->memory.seg[segid] = seg;
	os_mutex_unlock(&vm->memory.lock);
	if (*name && vm->front)
		error = vm->front->segment_publish(vm, seg);
	if (!error)
		return 0;

	os_mutex_lock(&vm->memory.lock);
	vm->memory.seg[segid] = NULL;
	os_mutex_unlock(&vm->memory.lock);
	segment_free(seg);
	return error;
}

struct memseg *memory_segment(struct vm *vm, int segid)
{
	if (segid < 0 || segid >= MEMSEG_MAX)
		return NULL;
	return vm->memory.seg[os_index_nospec((unsigned int)segid, MEMSEG_MAX)];
}

struct memseg *memory_segment_by_name(struct vm *vm, const char *name)
{
	for (int i = 0; i < MEMSEG_MAX; i++) {
		struct memseg *seg = vm->memory.seg[i];

		if (seg && seg->name[0] && strcmp(seg->name, name) == 0)
			return seg;
	}
	return NULL;
}

uint64_t memseg_len(const struct memseg *seg)
{
	return seg->len;
}

int memseg_id(const struct memseg *seg)
{
	return seg->id;
}

const char *memseg_name(const struct memseg *seg)
{
	return seg->name;
}

void memseg_set_front_state(struct memseg *seg, void *state)
{
	seg->front_state = state;
}

void *memseg_front_state(const struct memseg *seg)
{
	return seg->front_state;
}

void memory_init(struct vm *vm)
{
	os_mutex_init(&vm->memory.lock);
}

/* The nodes go first, so that nobody opens what is being freed. */
void memory_free(struct vm *vm)
{
	struct memory *memory = &vm->memory;

	os_mutex_lock(&memory->lock);
	memory->map_count = 0;
	memory->generation++;
	os_mutex_unlock(&memory->lock);
	for (int i = 0; i < MEMSEG_MAX; i++) {
		struct memseg *seg = memory->seg[i];

		if (!seg)
			continue;
		if (seg->name[0] && vm->front)
			vm->front->segment_withdraw(vm, seg);
		os_mutex_lock(&memory->lock);
		memory->seg[i] = NULL;
		os_mutex_unlock(&memory->lock);
		segment_free(seg);
	}
}
