// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instruction bytes. In 64-bit mode the code segment has neither base nor limit;
 * else the limit ends what can be fetched (APM vol. 2, 4.12.2).
 */
#include "core/vm.h"
#include "x86/fetch.h"
#include "x86/walk.h"

/* Where code is: its segment, and how to walk. */
struct fetch {
	struct vcpu *vcpu;
	struct walk_state *walk;
	struct seg_desc code;
};

static enum decode_mode mode_of(const struct fetch *fetch)
{
	if (fetch->walk->paging.cpu_mode == CPU_MODE_64BIT)
		return DECODE_64;
	return fetch->code.access & SEG_ACCESS_DB ? DECODE_32 : DECODE_16;
}

static void fetch_prepare(struct vcpu *vcpu, struct fetch *fetch, struct walk_state *walk)
{
	fetch->vcpu = vcpu;
	fetch->walk = walk;
	walk_state_of(vcpu, walk);
	fetch->code = (struct seg_desc){ 0 };
	(void)backend->get_desc(vcpu, VM_REG_GUEST_CS, &fetch->code);
}

/*
 * Bytes that lie within one page, at a linear address: 0, or a negative errno as
 * x86_fetch(), with the exception raised if 'raise'.
 */
static int fetch_piece(const struct fetch *fetch, uint64_t linear, uint8_t *buffer,
		       unsigned int size, bool raise)
{
	struct vcpu *vcpu = fetch->vcpu;
	uint32_t error_code;
	uint64_t gpa;
	const void *hva;
	int error;

	error = walk_vcpu(vcpu, fetch->walk, linear, WALK_EXECUTE, &gpa, &error_code);
	if (unlikely(error == -EFAULT) && raise)
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
	return 0;
}

/* 'want' bytes at a linear address; fewer where the second page cannot be had. */
static int fetch_linear(const struct fetch *fetch, uint64_t linear, uint8_t *buffer,
			unsigned int want)
{
	unsigned int first = (unsigned int)(OS_PAGE_SIZE - linear % OS_PAGE_SIZE);
	int error;

	if (first > want)
		first = want;
	error = fetch_piece(fetch, linear, buffer, first, true);
	if (error || first == want)
		return error ? error : (int)want;

	linear += first;
	if (fetch->walk->paging.cpu_mode != CPU_MODE_64BIT)
		linear = (uint32_t)linear;
	error = fetch_piece(fetch, linear, buffer + first, want - first, false);
	if (error == -EAGAIN)
		return error;
	return (int)(error ? first : want);
}

/* How many of 'want' bytes the code segment's limit allows. */
static unsigned int within_limit(const struct fetch *fetch, uint64_t rip, unsigned int want)
{
	uint64_t limit = fetch->code.limit;

	if (rip > limit)
		return 0;
	return limit - rip < want - 1 ? (unsigned int)(limit - rip + 1) : want;
}

static int fetch_bytes(const struct fetch *fetch, uint64_t rip, uint8_t *buffer, unsigned int want)
{
	if (likely(fetch->walk->paging.cpu_mode == CPU_MODE_64BIT))
		return fetch_linear(fetch, rip, buffer, want);
	want = within_limit(fetch, rip, want);
	if (want == 0) {
		vcpu_raise_error(fetch->vcpu, VECTOR_GP, 0);
		return -EFAULT;
	}
	return fetch_linear(fetch, (uint32_t)(fetch->code.base + rip), buffer, want);
}

/*
 * The instruction goes on where nothing could be fetched: raise what that would
 * have raised.
 */
static int fetch_rest(const struct fetch *fetch, uint64_t rip, unsigned int count)
{
	uint8_t byte;
	int got = fetch_bytes(fetch, rip + count, &byte, 1);

	/* It can be fetched by now: another processor is changing the tables. */
	return got > 0 ? -EAGAIN : got;
}

enum decode_mode x86_decode_mode(struct vcpu *vcpu)
{
	struct walk_state walk;
	struct fetch fetch;

	fetch_prepare(vcpu, &fetch, &walk);
	return mode_of(&fetch);
}

int x86_fetch(struct vcpu *vcpu, uint64_t rip, uint8_t *buffer, unsigned int want)
{
	struct walk_state walk;
	struct fetch fetch;

	fetch_prepare(vcpu, &fetch, &walk);
	return fetch_bytes(&fetch, rip, buffer, min_t(unsigned int, want, INSTRUCTION_MAX));
}

int x86_fetch_decoded(struct vcpu *vcpu, struct instruction *insn, struct walk_state *walk)
{
	uint8_t bytes[INSTRUCTION_MAX];
	struct fetch fetch;
	int count, error;

	fetch_prepare(vcpu, &fetch, walk);
	count = fetch_bytes(&fetch, vcpu->rip, bytes, INSTRUCTION_MAX);
	if (unlikely(count < 0))
		return count;
	error = decode_instruction(insn, bytes, (unsigned int)count, mode_of(&fetch));
	if (unlikely(error == -ENODATA))
		return fetch_rest(&fetch, vcpu->rip, (unsigned int)count);
	if (unlikely(error == -E2BIG)) {
		vcpu_raise_error(vcpu, VECTOR_GP, 0);
		return -EFAULT;
	}
	return error;
}
