// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's page tables, walked in software (APM vol. 2, 5.2 to 5.6; protection
 * keys 5.6.7; SMEP and SMAP 5.6.5 and 5.6.6).
 *
 * First down the tables, collecting the entries; then the permissions, which
 * combine all levels; then A and D bits by compare-and-swap, so that a change
 * made meanwhile by another processor is seen and the walk begins again.
 */
#include "vm/vcpu.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/paging/walk.h"

#define WALK_LEVELS 5

/* How often a walk begins again because the tables changed under it. */
#define WALK_TRIES 8

/* How often one begins again in walk_populate: each turn backs a table more, some are for races. */
#define WALK_ATTEMPTS 16

#define PTE_PHYSICAL   0x000ffffffffff000ull
#define PTE_KEY_SHIFT  59
#define PTE_PAE_UNUSED 0x7ff0000000000000ull /* bits 62:52 outside long mode */
#define PDPTE_RESERVED 0x00000000000001e6ull /* of the four PAE pointers */

struct walk_format {
	uint8_t levels;
	uint8_t index_bits; /* of the linear address, per level */
	uint8_t entry_size; /* bytes */
};

static const struct walk_format walk_formats[] = {
	[PAGING_MODE_32] = { 2, 10, 4 },
	[PAGING_MODE_PAE] = { 3, 9, 8 },
	[PAGING_MODE_64] = { 4, 9, 8 },
	[PAGING_MODE_64_LA57] = { 5, 9, 8 },
};

struct walker {
	const struct walk_state *state;
	const struct walk_format *format;
	walk_memory_fn memory;
	void *arg;
	uint64_t linear;
	unsigned int access;

	unsigned int level;	     /* of the last entry read; 0: 4 KiB pages */
	uint64_t entry[WALK_LEVELS]; /* by level */
	uint64_t entry_gpa[WALK_LEVELS];
	uint32_t fault; /* error code, when the walk faults */
};

/* --- one entry --------------------------------------------------------------- */

static inline unsigned int walk_level_shift(const struct walker *walker, unsigned int level)
{
	return OS_PAGE_SHIFT + walker->format->index_bits * level;
}

static inline uint64_t root_of(const struct walk_state *state)
{
	uint64_t cr3 = state->paging.cr3;

	switch (state->paging.paging_mode) {
	case PAGING_MODE_32:
		return cr3 & 0xfffff000;
	case PAGING_MODE_PAE:
		return cr3 & 0xffffffe0;
	default:
		return cr3 & PTE_PHYSICAL;
	}
}

/* Is the entry at this level a page rather than a table? */
static inline bool walk_is_leaf(const struct walker *walker, unsigned int level, uint64_t entry)
{
	if (level == 0)
		return true;
	if (!(entry & PTE_X86_LARGE) || level > 2)
		return false;
	switch (walker->state->paging.paging_mode) {
	case PAGING_MODE_32:
		return walker->state->cr4 & REG_CR4_PSE;
	case PAGING_MODE_PAE:
		return level == 1;
	default:
		return true;
	}
}

static uint64_t bit_range(unsigned int high, unsigned int low)
{
	return (2ull << high) - (1ull << low);
}

/* A 4 MiB page holds physical bits 39:32 in 20:13 (APM vol. 2, figure 5-5). */
static uint64_t reserved_32(const struct walker *walker, unsigned int level, uint64_t entry)
{
	unsigned int width = walker->state->physical_bits;

	if (level == 0 || !walk_is_leaf(walker, level, entry))
		return 0;
	if (width >= 40)
		return 1ull << 21;
	return bit_range(21, width - 32 + 13);
}

/*
 * A processor that reads the PAE pointers from memory may mark them as accessed, as QEMU
 * does, and has to be able to go on with what it has written itself.
 */
static uint64_t reserved_in_pointer(const struct walk_state *state)
{
	return state->has_pdpte ? PDPTE_RESERVED : PDPTE_RESERVED & ~PTE_X86_ACCESSED;
}

static uint64_t reserved_wide(const struct walker *walker, unsigned int level, uint64_t entry)
{
	const struct walk_state *state = walker->state;
	uint64_t reserved = PTE_PHYSICAL & ~(bit_range(state->physical_bits, 0) >> 1);

	if (!(state->efer & REG_EFER_NXE))
		reserved |= PTE_X86_NX;
	if (state->paging.paging_mode == PAGING_MODE_PAE) {
		reserved |= PTE_PAE_UNUSED;
		if (level == 2)
			return reserved | reserved_in_pointer(state) | PTE_X86_NX;
	}
	if (level > 2 || (level == 2 && !state->gigabyte_pages))
		return reserved | PTE_X86_LARGE;
	if (level > 0 && (entry & PTE_X86_LARGE))
		reserved |= bit_range(walk_level_shift(walker, level) - 1, 13);
	return reserved;
}

static uint64_t reserved_bits(const struct walker *walker, unsigned int level, uint64_t entry)
{
	if (walker->state->paging.paging_mode == PAGING_MODE_32)
		return reserved_32(walker, level, entry);
	return reserved_wide(walker, level, entry);
}

/* VMX keeps the PAE pointers in registers, loaded by MOV CR3 (SDM vol. 3, 4.4.1). */
static bool in_register(const struct walker *walker, unsigned int level)
{
	return unlikely(walker->state->has_pdpte) && level == 2 &&
	       walker->state->paging.paging_mode == PAGING_MODE_PAE;
}

/* Reads an entry: 0, or -EAGAIN. Where there is no memory at all, nothing is present. */
static inline int read_entry(struct walker *walker, uint64_t table, unsigned int level)
{
	uint64_t mask = bit_range(walker->format->index_bits, 0) >> 1;
	uint64_t index = walker->linear >> walk_level_shift(walker, level) & mask;
	uint64_t gpa = table + index * walker->format->entry_size;
	int error = -EFAULT;
	const void *entry;

	if (in_register(walker, level))
		entry = &walker->state->pdpte[index];
	else
		entry = walker->memory(walker->arg, gpa, false, &error);
	walker->level = level;
	walker->entry_gpa[level] = gpa;
	if (unlikely(!entry)) {
		walker->entry[level] = 0;
		return error == -EAGAIN ? -EAGAIN : 0;
	}
	walker->entry[level] = walker->format->entry_size == 8 ?
				       READ_ONCE(*(const uint64_t *)entry) :
				       READ_ONCE(*(const uint32_t *)entry);
	return 0;
}

/* --- down the tables ----------------------------------------------------------- */

/* 0 with a leaf at walker->level; -EAGAIN; -EFAULT with the reason in walker->fault. */
static inline int walk_descend(struct walker *walker)
{
	uint64_t table = root_of(walker->state);
	unsigned int level = walker->format->levels;
	uint64_t entry;
	int error;

	for (;;) {
		error = read_entry(walker, table, --level);
		if (unlikely(error))
			return error;
		entry = walker->entry[level];
		if (unlikely(!(entry & PTE_X86_PRESENT)))
			return -EFAULT;
		if (unlikely(entry & reserved_bits(walker, level, entry))) {
			walker->fault = PFERR_PRESENT | PFERR_RESERVED;
			return -EFAULT;
		}
		if (walk_is_leaf(walker, level, entry))
			return 0;
		table = entry & (walker->format->entry_size == 8 ? PTE_PHYSICAL : 0xfffff000);
	}
}

/* --- permissions ------------------------------------------------------------------ */

static bool is_user(const struct walker *walker)
{
	return walker->state->paging.cpl == 3 && !(walker->access & WALK_SYSTEM);
}

/* The PAE pointers (level 2) carry no permissions. */
static unsigned int top_permission_level(const struct walker *walker)
{
	if (walker->state->paging.paging_mode == PAGING_MODE_PAE)
		return 1;
	return walker->format->levels - 1u;
}

/* The bits that all levels have to grant, and NX, which any level may set. */
static void combine_levels(const struct walker *walker, uint64_t *all, uint64_t *any)
{
	unsigned int level;

	*all = ~0ull;
	*any = 0;
	for (level = walker->level; level <= top_permission_level(walker); level++) {
		*all &= walker->entry[level];
		*any |= walker->entry[level];
	}
}

static bool supervisor_allowed(const struct walker *walker, bool user_page)
{
	const struct walk_state *state = walker->state;

	if (!user_page)
		return true;
	if (walker->access & WALK_EXECUTE)
		return !(state->cr4 & REG_CR4_SMEP);
	if (!(state->cr4 & REG_CR4_SMAP))
		return true;
	return !(walker->access & WALK_SYSTEM) && (state->rflags & REG_RFLAGS_AC);
}

/* Protection keys cover data accesses to user pages in long mode. */
static bool key_allows(const struct walker *walker, bool user_page)
{
	const struct walk_state *state = walker->state;
	unsigned int key = walker->entry[walker->level] >> PTE_KEY_SHIFT & 0xf;
	uint32_t rights = state->pkru >> (2 * key);

	if (!(state->cr4 & REG_CR4_PKE) || !user_page || (walker->access & WALK_EXECUTE) ||
	    state->paging.paging_mode < PAGING_MODE_64)
		return true;
	if (rights & 1)
		return false;
	return !(walker->access & WALK_WRITE) || !(rights & 2) ||
	       (!is_user(walker) && !(state->cr0 & REG_CR0_WP));
}

/* 0, or -EFAULT with the reason. */
static int check_permission(struct walker *walker)
{
	const struct walk_state *state = walker->state;
	bool user = is_user(walker), user_page;
	uint64_t all, any;

	combine_levels(walker, &all, &any);
	user_page = all & PTE_X86_USER;
	walker->fault = PFERR_PRESENT;
	if (user ? !user_page : !supervisor_allowed(walker, user_page))
		return -EFAULT;
	if ((walker->access & WALK_EXECUTE) && walker->format->entry_size == 8 &&
	    (any & PTE_X86_NX) && (state->efer & REG_EFER_NXE))
		return -EFAULT;
	if ((walker->access & WALK_WRITE) && !(all & PTE_X86_WRITE) &&
	    (user || (state->cr0 & REG_CR0_WP)))
		return -EFAULT;
	if (!key_allows(walker, user_page)) {
		walker->fault |= PFERR_KEY;
		return -EFAULT;
	}
	return 0;
}

/* --- accessed and dirty ------------------------------------------------------------- */

static bool exchange_entry(void *entry, unsigned int size, uint64_t old, uint64_t new)
{
	uint64_t old64 = old;
	uint32_t old32 = (uint32_t)old;

	if (size == 8)
		return __atomic_compare_exchange_n((uint64_t *)entry, &old64, new, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint32_t *)entry, &old32, (uint32_t) new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Sets bits of one entry: 0, or -EBUSY if it is no longer what the walk saw. */
static int mark_entry(struct walker *walker, unsigned int level, uint64_t wanted)
{
	uint64_t entry = walker->entry[level];
	int error;
	void *where;

	if (likely((entry & wanted) == wanted))
		return 0;
	where = walker->memory(walker->arg, walker->entry_gpa[level], true, &error);
	if (!where)
		return 0; /* tables in ROM: nothing to note */
	if (!exchange_entry(where, walker->format->entry_size, entry, entry | wanted))
		return -EBUSY;
	return 0;
}

static inline int mark_entries(struct walker *walker)
{
	uint64_t leaf = PTE_X86_ACCESSED;
	unsigned int level;
	int error;

	if (walker->access & WALK_PROBE)
		return 0;
	for (level = top_permission_level(walker); level > walker->level; level--) {
		error = mark_entry(walker, level, PTE_X86_ACCESSED);
		if (unlikely(error))
			return error;
	}
	if (walker->access & WALK_WRITE)
		leaf |= PTE_X86_DIRTY;
	return mark_entry(walker, walker->level, leaf);
}

/* --- the whole ------------------------------------------------------------ */

static uint64_t leaf_address(const struct walker *walker)
{
	uint64_t offset_mask = (1ull << walk_level_shift(walker, walker->level)) - 1;
	uint64_t entry = walker->entry[walker->level];
	uint64_t frame = entry & PTE_PHYSICAL;

	if (walker->format->entry_size == 4 && walker->level == 1)
		frame = (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
	return (frame & ~offset_mask) | (walker->linear & offset_mask);
}

static uint32_t page_fault_code(const struct walker *walker)
{
	const struct walk_state *state = walker->state;
	uint32_t code = walker->fault;
	bool nx = (state->efer & REG_EFER_NXE) && walker->format->entry_size == 8;

	if (walker->access & WALK_WRITE)
		code |= PFERR_WRITE;
	if (is_user(walker))
		code |= PFERR_USER;
	if ((walker->access & WALK_EXECUTE) && (nx || (state->cr4 & REG_CR4_SMEP)))
		code |= PFERR_FETCH;
	return code;
}

static inline int walk_once(struct walker *walker)
{
	int error;

	walker->fault = 0;
	error = walk_descend(walker);
	if (!error)
		error = check_permission(walker);
	return error ? error : mark_entries(walker);
}

/* As walk_tables(), with paging on; *walker shows the entries afterwards. */
static inline int walk_until_stable(struct walker *walker, uint64_t *gpa, uint32_t *error_code)
{
	unsigned int tries = 0;
	int error;

	do {
		error = walk_once(walker);
	} while (unlikely(error == -EBUSY) && ++tries < WALK_TRIES);

	*error_code = 0;
	if (likely(!error)) {
		*gpa = leaf_address(walker);
		return 0;
	}
	*gpa = walker->entry_gpa[walker->level];
	if (error == -EFAULT)
		*error_code = page_fault_code(walker);
	return error;
}

static inline void walk_begin(struct walker *walker, const struct walk_state *state,
			      uint64_t linear, unsigned int access)
{
	bool wide = state->paging.paging_mode >= PAGING_MODE_64;

	walker->state = state;
	walker->format = &walk_formats[state->paging.paging_mode];
	walker->linear = wide ? linear : (uint32_t)linear;
	walker->access = access;
}

static int no_walk(uint64_t linear, uint64_t *gpa, uint32_t *error_code)
{
	*gpa = linear;
	*error_code = 0;
	return 0;
}

int walk_tables(const struct walk_state *state, walk_memory_fn memory, void *arg, uint64_t linear,
		unsigned int access, uint64_t *gpa, uint32_t *error_code)
{
	struct walker walker;

	if (state->paging.paging_mode == PAGING_MODE_FLAT)
		return no_walk(linear, gpa, error_code);
	walker.memory = memory;
	walker.arg = arg;
	walk_begin(&walker, state, linear, access);
	return walk_until_stable(&walker, gpa, error_code);
}

/* --- of a vCPU ------------------------------------------------------------ */

static enum vm_paging_mode paging_mode(const struct guest_mode *mode)
{
	if (!(mode->cr0 & REG_CR0_PG))
		return PAGING_MODE_FLAT;
	if (!(mode->cr4 & REG_CR4_PAE))
		return PAGING_MODE_32;
	if (!(mode->efer & REG_EFER_LMA))
		return PAGING_MODE_PAE;
	return mode->cr4 & REG_CR4_LA57 ? PAGING_MODE_64_LA57 : PAGING_MODE_64;
}

/* The privilege level is that of the stack segment, but for the modes without one. */
static uint64_t current_cpl(struct vcpu *vcpu, uint64_t cr0)
{
	struct seg_desc stack = { 0 };

	if (!(cr0 & REG_CR0_PE))
		return 0;
	if (vcpu->rflags & REG_RFLAGS_VM)
		return 3;
	(void)backend->get_desc(vcpu, VM_REG_GUEST_SS, &stack);
	return SEG_DESC_DPL(stack.access);
}

void x86_mode(struct vcpu *vcpu, struct guest_mode *mode)
{
	if (likely(backend->shortcuts.get_mode)) {
		backend->shortcuts.get_mode(vcpu, mode);
		return;
	}
	mode->cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	mode->cr3 = vcpu_reg(vcpu, VM_REG_GUEST_CR3);
	mode->cr4 = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	mode->efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);
	mode->code = (struct seg_desc){ 0 };
	(void)backend->get_desc(vcpu, VM_REG_GUEST_CS, &mode->code);
	mode->cpl = current_cpl(vcpu, mode->cr0);
}

static void fill_paging(const struct guest_mode *mode, struct vm_guest_paging *paging)
{
	paging->cr3 = mode->cr3;
	paging->cpl = (int)mode->cpl;
	paging->cpu_mode = guest_cpu_mode(mode);
	paging->paging_mode = paging_mode(mode);
}

void x86_paging(struct vcpu *vcpu, struct vm_guest_paging *paging)
{
	struct guest_mode mode;

	x86_mode(vcpu, &mode);
	fill_paging(&mode, paging);
}

static bool read_pdpte_registers(struct vcpu *vcpu, uint64_t pdpte[4])
{
	for (int i = 0; i < 4; i++)
		if (backend->get_reg(vcpu, VM_REG_GUEST_PDPTE0 + i, &pdpte[i]))
			return false;
	return true;
}

/* A root of the caller's choice is in memory. */
static void fill_pdptes(struct vcpu *vcpu, const struct guest_mode *mode, struct walk_state *state)
{
	state->has_pdpte = unlikely(state->paging.paging_mode == PAGING_MODE_PAE) &&
			   state->paging.cr3 == mode->cr3 &&
			   read_pdpte_registers(vcpu, state->pdpte);
}

static void fill_state(struct vcpu *vcpu, const struct guest_mode *mode, struct walk_state *state)
{
	state->cr0 = mode->cr0;
	state->cr4 = mode->cr4;
	state->efer = mode->efer;
	state->rflags = vcpu->rflags;
	state->pkru = state->cr4 & REG_CR4_PKE ? context_pkru(vcpu) : 0;
	state->physical_bits = (uint8_t)vcpu->vm->cpuid->phys_bits;
	state->gigabyte_pages = cpuid_has(vcpu->vm, CPU_PAGE1G);
}

void walk_state_in(struct vcpu *vcpu, const struct guest_mode *mode, struct walk_state *state)
{
	fill_state(vcpu, mode, state);
	fill_paging(mode, &state->paging);
	fill_pdptes(vcpu, mode, state);
}

void walk_state_of(struct vcpu *vcpu, struct walk_state *state)
{
	struct guest_mode mode;

	x86_mode(vcpu, &mode);
	walk_state_in(vcpu, &mode, state);
}

static void *vm_memory(void *arg, uint64_t gpa, bool write, int *error)
{
	struct vm *vm = arg;
	int prot = write ? VM_PROT_READ | VM_PROT_WRITE : VM_PROT_READ;
	void *hva = memory_hva(vm, gpa, prot);
	const struct memmap_entry *entry;

	if (likely(hva))
		return hva;
	entry = memory_lookup(vm, gpa);
	*error = entry && (entry->prot & prot) == prot ? -EAGAIN : -EFAULT;
	return NULL;
}

int walk_vcpu(struct vcpu *vcpu, const struct walk_state *state, uint64_t linear,
	      unsigned int access, uint64_t *gpa, uint32_t *error_code)
{
	return walk_tables(state, vm_memory, vcpu->vm, linear, access, gpa, error_code);
}

/* Notes the entries; none of this if one of them is not the one that was used. */
static void leave_trace(const struct walker *walker, struct walk_trace *trace)
{
	unsigned int level = walker->format->levels;
	const uint64_t *entry;
	int error;

	while (level-- > walker->level) {
		entry = walker->memory(walker->arg, walker->entry_gpa[level], false, &error);
		if (!entry)
			return;
		trace->entry[trace->depth] = entry;
		trace->value[trace->depth] = READ_ONCE(*entry);
		if ((trace->value[trace->depth++] ^ walker->entry[level]) & ~PTE_X86_ACCESSED)
			return;
	}
	trace->valid = true;
}

int walk_vcpu_trace(struct vcpu *vcpu, const struct walk_state *state, uint64_t linear,
		    unsigned int access, uint64_t *gpa, uint32_t *error_code,
		    struct walk_trace *trace)
{
	struct walker walker;
	int error;

	trace->depth = 0;
	trace->valid = state->paging.paging_mode == PAGING_MODE_FLAT;
	if (trace->valid)
		return no_walk(linear, gpa, error_code);
	walker.memory = vm_memory;
	walker.arg = vcpu->vm;
	walk_begin(&walker, state, linear, access);
	error = walk_until_stable(&walker, gpa, error_code);
	if (!error && walker.format->entry_size == 8 && !state->has_pdpte)
		leave_trace(&walker, trace);
	return error;
}

int walk_populate(struct vcpu *vcpu, const struct walk_state *state, uint64_t linear,
		  unsigned int access, uint64_t *gpa, uint32_t *error_code)
{
	for (unsigned int i = 0; i < WALK_ATTEMPTS; i++) {
		int error = walk_vcpu(vcpu, state, linear, access, gpa, error_code);

		if (!error || error == -EFAULT)
			return error;
		if (error == -EAGAIN && memory_populate(vcpu->vm, *gpa) == -ENOMEM)
			return -ENOMEM;
	}
	return -EBUSY;
}

int walk_translate(struct vcpu *vcpu, const struct vm_guest_paging *paging, uint64_t linear,
		   unsigned int access, uint64_t *gpa, uint32_t *error_code)
{
	struct walk_state state;
	struct guest_mode mode;

	if ((unsigned int)paging->paging_mode >= ARRAY_SIZE(walk_formats))
		return -EINVAL;
	x86_mode(vcpu, &mode);
	fill_state(vcpu, &mode, &state);
	state.paging = *paging;
	fill_pdptes(vcpu, &mode, &state);
	return walk_populate(vcpu, &state, linear, access, gpa, error_code);
}
