// SPDX-License-Identifier: BSD-2-Clause
/*
 * Vector registers of a guest, in its XSAVE area (standard format: SDM
 * vol. 1, 13.4; APM vol. 2, 11.5.2). Inside the inner loop they are in the processor
 * and the area is old: a vector instruction waits for the outer loop.
 */
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/emulate_state.h"

#define COMPONENT_AVX	    2
#define COMPONENT_ZMM_UPPER 6

#define AREA_XMM	160 /* XMM0; also in FXSAVE's area */
#define VECTOR_HALF	16
#define VECTOR_ZMM_HALF 32

/* Components that are not marked are loaded as after reset, whatever the area holds. */
static void mark_components(struct vcpu *vcpu, uint64_t components)
{
	struct guest_context *context = vcpu->context;
	uint64_t state;

	if (!context->components)
		return;
	memcpy(&state, (uint8_t *)context->fpu + CONTEXT_XSTATE_BV, sizeof(state));
	state |= components;
	memcpy((uint8_t *)context->fpu + CONTEXT_XSTATE_BV, &state, sizeof(state));
}

static uint8_t *xmm_area(const struct vcpu *vcpu, unsigned int reg)
{
	return (uint8_t *)vcpu->context->fpu + AREA_XMM + VECTOR_HALF * (reg & 15);
}

/* The upper half of a YMM register; NULL without AVX. */
static uint8_t *ymm_upper(const struct vcpu *vcpu, unsigned int reg)
{
	uint8_t *area = context_component(vcpu, COMPONENT_AVX);

	return area ? area + VECTOR_HALF * (reg & 15) : NULL;
}

static void clear_zmm_upper(struct vcpu *vcpu, unsigned int reg)
{
	uint8_t *area = context_component(vcpu, COMPONENT_ZMM_UPPER);

	if (area)
		memset(area + VECTOR_ZMM_HALF * (reg & 15), 0, VECTOR_ZMM_HALF);
}

static int wait_for_area(struct emulation *emulation)
{
	if (!emulation->vcpu->context->loaded)
		return 0;
	emulation->wait = WAIT_OUTER;
	return -EAGAIN;
}

int emulation_vector_read(struct emulator *emulator, unsigned int reg, void *data,
			  unsigned int size)
{
	struct emulation *emulation = emulation_of(emulator);
	const uint8_t *upper = ymm_upper(emulation->vcpu, reg);
	int error = wait_for_area(emulation);

	if (error)
		return error;
	memcpy(data, xmm_area(emulation->vcpu, reg), VECTOR_HALF);
	if (size <= VECTOR_HALF)
		return 0;
	if (!upper)
		return -EOPNOTSUPP;
	memcpy((uint8_t *)data + VECTOR_HALF, upper, VECTOR_HALF);
	return 0;
}

int emulation_vector_write(struct emulator *emulator, unsigned int reg, const void *data,
			   unsigned int size, bool clear)
{
	struct emulation *emulation = emulation_of(emulator);
	struct vcpu *vcpu = emulation->vcpu;
	uint8_t *upper = ymm_upper(vcpu, reg);
	int error = wait_for_area(emulation);

	if (error)
		return error;
	if (!upper && size > VECTOR_HALF)
		return -EOPNOTSUPP;
	memcpy(xmm_area(vcpu, reg), data, VECTOR_HALF);
	mark_components(vcpu, REG_XCR0_SSE);
	if (size > VECTOR_HALF) {
		memcpy(upper, (const uint8_t *)data + VECTOR_HALF, VECTOR_HALF);
		mark_components(vcpu, REG_XCR0_AVX);
	} else if (clear && upper) {
		memset(upper, 0, VECTOR_HALF);
	}
	if (clear)
		clear_zmm_upper(vcpu, reg);
	return 0;
}
