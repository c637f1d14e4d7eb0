// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instruction bytes. In 64-bit mode the code segment has neither base nor limit;
 * else the limit ends what can be fetched (APM vol. 2, 4.12.2).
 */
#include "vm/vcpu.h"
#include "x86/emulate/emulate_state.h"
#include "x86/emulate/fetch.h"
#include "x86/paging/walk.h"

/* Where code is, and how to get there. */
struct fetch {
	struct vcpu *vcpu;
	const struct guest_mode *mode;
	struct walk_state walk;
	struct walk_trace trace; /* of the page of the first byte */
	const uint8_t *hva;	 /* of that byte */
};

static enum decode_mode mode_of(const struct fetch *fetch)
{
	if (fetch->walk.paging.cpu_mode == CPU_MODE_64BIT)
		return DECODE_64;
	return fetch->mode->code.access & SEG_ACCESS_DB ? DECODE_32 : DECODE_16;
}

static void fetch_prepare(struct vcpu *vcpu, const struct guest_mode *mode, struct fetch *fetch)
{
	fetch->vcpu = vcpu;
	fetch->mode = mode;
	fetch->trace.valid = false;
	walk_state_in(vcpu, mode, &fetch->walk);
}

/*
 * Bytes that lie within one page, at a linear address: 0, or a negative errno as
 * x86_fetch(), with the exception raised if they are the first.
 */
static int fetch_piece(struct fetch *fetch, uint64_t linear, uint8_t *buffer, unsigned int size,
		       bool first)
{
	struct vcpu *vcpu = fetch->vcpu;
	uint32_t error_code;
	uint64_t gpa;
	const void *hva;
	int error;

	error = walk_vcpu_trace(vcpu, &fetch->walk, linear, WALK_EXECUTE, &gpa, &error_code,
				&fetch->trace);
	if (unlikely(error == -EFAULT) && first)
		vcpu_raise_page_fault(vcpu, linear, error_code);
	if (unlikely(error)) {
		vcpu->fault_gpa = gpa;
		return error == -EFAULT ? -EFAULT : -EAGAIN;
	}
	hva = memory_hva(vcpu->vm, gpa, VM_PROT_READ);
	if (unlikely(!hva)) {
		vcpu->fault_gpa = gpa;
		return memory_lookup(vcpu->vm, gpa) ? -EAGAIN : -ENXIO;
	}
	memcpy(buffer, hva, size);
	fetch->hva = hva;
	return 0;
}

/* 'want' bytes at a linear address; fewer where the second page cannot be had. */
static int fetch_linear(struct fetch *fetch, uint64_t linear, uint8_t *buffer, unsigned int want)
{
	unsigned int first = (unsigned int)(OS_PAGE_SIZE - linear % OS_PAGE_SIZE);
	int error;

	if (first > want)
		first = want;
	error = fetch_piece(fetch, linear, buffer, first, true);
	if (error || first == want)
		return error ? error : (int)want;

	linear += first;
	if (fetch->walk.paging.cpu_mode != CPU_MODE_64BIT)
		linear = (uint32_t)linear;
	error = fetch_piece(fetch, linear, buffer + first, want - first, false);
	if (error == -EAGAIN)
		return error;
	return (int)(error ? first : want);
}

/* How many of 'want' bytes the code segment's limit allows. */
static unsigned int bytes_within_limit(const struct fetch *fetch, uint64_t rip, unsigned int want)
{
	uint64_t limit = fetch->mode->code.limit;

	if (rip > limit)
		return 0;
	return limit - rip < want - 1 ? (unsigned int)(limit - rip + 1) : want;
}

static int fetch_bytes(struct fetch *fetch, uint64_t rip, uint8_t *buffer, unsigned int want)
{
	if (likely(fetch->walk.paging.cpu_mode == CPU_MODE_64BIT))
		return fetch_linear(fetch, rip, buffer, want);
	want = bytes_within_limit(fetch, rip, want);
	if (want == 0) {
		vcpu_raise_error(fetch->vcpu, VECTOR_GP, 0);
		return -EFAULT;
	}
	return fetch_linear(fetch, (uint32_t)(fetch->mode->code.base + rip), buffer, want);
}

/*
 * The instruction goes on where nothing could be fetched: raise what that would
 * have raised.
 */
static int fetch_rest(struct fetch *fetch, uint64_t rip, unsigned int count)
{
	uint8_t byte;
	int got = fetch_bytes(fetch, rip + count, &byte, 1);

	/* It can be fetched by now: another processor is changing the tables. */
	return got > 0 ? -EAGAIN : got;
}

int x86_fetch(struct vcpu *vcpu, uint64_t rip, uint8_t *buffer, unsigned int want)
{
	struct guest_mode mode;
	struct fetch fetch;

	x86_mode(vcpu, &mode);
	fetch_prepare(vcpu, &mode, &fetch);
	return fetch_bytes(&fetch, rip, buffer, min_t(unsigned int, want, INSTRUCTION_MAX));
}

/* --- what was fetched before ------------------------------------------------------ */

/* Bytes compared and kept: two words, which need not be aligned. */
static inline void load_words(const uint8_t *from, uint64_t words[2])
{
	memcpy(words, from, 2 * sizeof(uint64_t));
}

static inline bool same_mode(const struct guest_mode *a, const struct guest_mode *b)
{
	return !((a->cr0 ^ b->cr0) | (a->cr3 ^ b->cr3) | (a->cr4 ^ b->cr4) | (a->efer ^ b->efer) |
		 (a->cpl ^ b->cpl) | (a->code.base ^ b->code.base) |
		 (a->code.limit ^ b->code.limit) | (a->code.access ^ b->code.access));
}

static inline bool slot_matches(const struct fetch_slot *slot, const struct vcpu *vcpu,
				const struct guest_mode *mode)
{
	uint64_t words[2];

	if (slot->rip != vcpu->rip || !slot->trace.valid || !same_mode(&slot->mode, mode) ||
	    slot->generation != vcpu->vm->memory.generation)
		return false;
	if (!walk_trace_holds(&slot->trace))
		return false;
	load_words(slot->hva, words);
	return (words[0] & slot->mask[0]) == slot->bytes[0] &&
	       (words[1] & slot->mask[1]) == slot->bytes[1];
}

static uint64_t byte_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : (1ull << (8 * bytes)) - 1;
}

/* 'fetch' has just succeeded with 'bytes', all of whose page the trace is about. */
static void slot_fill(struct fetch_slot *slot, const struct fetch *fetch, const uint8_t *bytes)
{
	unsigned int length = slot->insn.length;

	slot->rip = fetch->vcpu->rip;
	slot->mode = *fetch->mode;
	slot->generation = fetch->vcpu->vm->memory.generation;
	slot->hva = fetch->hva;
	slot->mask[0] = byte_mask(length);
	slot->mask[1] = length > 8 ? byte_mask(length - 8) : 0;
	load_words(bytes, slot->bytes);
	slot->bytes[0] &= slot->mask[0];
	slot->bytes[1] &= slot->mask[1];
	slot->trace = fetch->trace;
	/* Nearer to the end of the page the words to compare are not all there. */
	if ((uintptr_t)fetch->hva % OS_PAGE_SIZE > OS_PAGE_SIZE - 16)
		slot->trace.valid = false;
}

static inline unsigned int set_of(const struct vcpu *vcpu)
{
	return (vcpu->rip ^ vcpu->rip >> 4) % FETCH_SETS;
}

/* The slot that may hold the instruction at RIP, else the one to be filled with it. */
static inline struct fetch_slot *slot_of(struct vcpu *vcpu)
{
	struct fetch_cache *cache = &vcpu->emulation->fetch;
	unsigned int set = set_of(vcpu);
	struct fetch_slot *slot = cache->slot[set];

	if (likely(slot[0].rip == vcpu->rip))
		return &slot[0];
	if (likely(slot[1].rip == vcpu->rip))
		return &slot[1];
	return &slot[cache->oldest[set]];
}

static int fetch_anew(struct vcpu *vcpu, const struct guest_mode *mode, struct fetch_slot *slot)
{
	struct fetch_cache *cache = &vcpu->emulation->fetch;
	uint8_t bytes[16] = { 0 };
	struct fetch fetch;
	int count, error;

	slot->trace.valid = false;
	fetch_prepare(vcpu, mode, &fetch);
	count = fetch_bytes(&fetch, vcpu->rip, bytes, INSTRUCTION_MAX);
	if (unlikely(count < 0))
		return count;
	error = decode_instruction(&slot->insn, bytes, (unsigned int)count, mode_of(&fetch));
	if (unlikely(error == -ENODATA))
		return fetch_rest(&fetch, vcpu->rip, (unsigned int)count);
	if (unlikely(error == -E2BIG)) {
		vcpu_raise_error(vcpu, VECTOR_GP, 0);
		return -EFAULT;
	}
	if (!error) {
		cache->oldest[set_of(vcpu)] = slot == cache->slot[set_of(vcpu)];
		slot_fill(slot, &fetch, bytes);
	}
	return error;
}

int x86_fetch_in_place(struct vcpu *vcpu, const struct instruction **insn, struct guest_mode *mode)
{
	struct fetch_slot *slot = slot_of(vcpu);

	x86_mode(vcpu, mode);
	*insn = &slot->insn;
	if (likely(slot_matches(slot, vcpu, mode)))
		return 0;
	return fetch_anew(vcpu, mode, slot);
}
