// SPDX-License-Identifier: BSD-2-Clause
/*
 * Vector registers and PKRU of a guest, in its XSAVE area (standard format: SDM
 * vol. 1, 13.4; APM vol. 2, 11.5.2). Inside the inner loop they are in the processor
 * and the area is old: a vector instruction waits for the outer loop.
 */
#include "x86/context.h"
#include "x86/cpuid.h"
#include "x86/emulate.h"
#include "x86/emulate_state.h"
#include "x86/fpu.h"

#define COMPONENT_AVX	    2
#define COMPONENT_ZMM_UPPER 6
#define COMPONENT_PKRU	    9

#define AREA_XMM	160 /* XMM0; also in FXSAVE's area */
#define AREA_STATE	512 /* XSTATE_BV */
#define VECTOR_HALF	16
#define VECTOR_ZMM_HALF 32

/* The part of the area that holds a component, or NULL if it is not switched. */
static uint8_t *component(const struct vcpu *vcpu, unsigned int number)
{
	const struct guest_context *context = vcpu->context;

	if (!(context->components & (1ull << number)))
		return NULL;
	return (uint8_t *)context->fpu + vcpu->vm->cpuid->xsave_offset[number];
}

/* Components that are not marked are loaded as after reset, whatever the area holds. */
static void mark_components(struct vcpu *vcpu, uint64_t components)
{
	struct guest_context *context = vcpu->context;
	uint64_t state;

	if (!context->components)
		return;
	memcpy(&state, (uint8_t *)context->fpu + AREA_STATE, sizeof(state));
	state |= components;
	memcpy((uint8_t *)context->fpu + AREA_STATE, &state, sizeof(state));
}

static uint8_t *xmm(const struct vcpu *vcpu, unsigned int reg)
{
	return (uint8_t *)vcpu->context->fpu + AREA_XMM + VECTOR_HALF * (reg & 15);
}

/* The upper half of a YMM register; NULL without AVX. */
static uint8_t *ymm_upper(const struct vcpu *vcpu, unsigned int reg)
{
	uint8_t *area = component(vcpu, COMPONENT_AVX);

	return area ? area + VECTOR_HALF * (reg & 15) : NULL;
}

static void clear_zmm_upper(struct vcpu *vcpu, unsigned int reg)
{
	uint8_t *area = component(vcpu, COMPONENT_ZMM_UPPER);

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
	memcpy(data, xmm(emulation->vcpu, reg), VECTOR_HALF);
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
	memcpy(xmm(vcpu, reg), data, VECTOR_HALF);
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

uint32_t emulate_pkru(const struct vcpu *vcpu)
{
	const struct guest_context *context = vcpu->context;
	const uint8_t *area = component(vcpu, COMPONENT_PKRU);
	uint64_t state;
	uint32_t pkru;

	if (!area)
		return 0;
	if (context->loaded)
		return fpu_rdpkru();
	memcpy(&state, (const uint8_t *)context->fpu + AREA_STATE, sizeof(state));
	if (!(state & REG_XCR0_PKRU))
		return 0;
	memcpy(&pkru, area, sizeof(pkru));
	return pkru;
}
