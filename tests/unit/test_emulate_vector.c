// SPDX-License-Identifier: BSD-2-Clause
/* Vector registers in a vCPU: in its XSAVE area, and only outside the inner loop. */
#include "emulate_vm.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/emulate/emulate_state.h"

TEST(vector_moves)
{
	uint8_t *xmm3;

	begin();
	xmm3 = (uint8_t *)vcpu->context->fpu + 160 + 3 * 16;
	CODE({ 0x0f, 0x10, 0x1d, 0x00, 0x00, 0x00, 0xd0 }); /* movups DEVICE,%xmm3 */
	/* In the inner loop the registers are the processor's. */
	vcpu->context->loaded = true;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 8, false, 0);
	CHECK_EQ(answer(0x0706050403020100), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 8, 8, false, 0);
	CHECK_EQ(answer(0x0f0e0d0c0b0a0908), EXIT_OUTER);
	vcpu->context->loaded = false;
	CHECK_EQ(run_deferred(), EXIT_RESUME);
	CHECK_DONE(7);
	for (unsigned int i = 0; i < 16; i++)
		CHECK_EQ(xmm3[i], i);
	CODE({ 0x66, 0x0f, 0xe7, 0x1d, 0x10, 0x00, 0x00, 0xd0 }); /* movntdq %xmm3,DEVICE+16 */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 16, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 16, 8, true, 0x0706050403020100);
	CHECK_EQ(answer(0), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 24, 8, true, 0x0f0e0d0c0b0a0908);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(8);
	CODE({ 0x66, 0x0f, 0xe7, 0x1d, 0x18, 0x00, 0x00, 0xd0 }); /* not aligned */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 24, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_RAISED(VECTOR_GP);
	end();
}

/* SDM vol. 1, 13.4: where the components of AVX and AVX-512 are in the standard format. */
TEST(registers_are_in_their_components)
{
	static const uint8_t zeros[64];
	uint8_t data[64], back[64];
	struct emulator *emulator;
	uint64_t state, mask = 0;
	uint8_t *area;

	begin();
	emulator = &vcpu->emulation->emulator;
	area = vcpu->context->fpu;
	vcpu->context->components = 0xe7;
	vm->cpuid->xsave_offset[2] = 576;
	vm->cpuid->xsave_offset[5] = 1088;
	vm->cpuid->xsave_offset[6] = 1152;
	vm->cpuid->xsave_offset[7] = 1664;
	for (unsigned int i = 0; i < 64; i++)
		data[i] = (uint8_t)(i + 1);
	CHECK_EQ(emulation_vector_write(emulator, 3, data, 64, true), 0);
	CHECK_EQ(memcmp(area + 160 + 3 * 16, data, 16), 0);
	CHECK_EQ(memcmp(area + 576 + 3 * 16, data + 16, 16), 0);
	CHECK_EQ(memcmp(area + 1152 + 3 * 32, data + 32, 32), 0);
	CHECK_EQ(emulation_vector_write(emulator, 17, data, 64, true), 0);
	CHECK_EQ(memcmp(area + 1664 + 64, data, 64), 0);
	CHECK_EQ(emulation_vector_read(emulator, 17, back, 64), 0);
	CHECK_EQ(memcmp(back, data, 64), 0);
	CHECK_EQ(emulation_mask_write(emulator, 2, 0x1234), 0);
	CHECK_EQ(emulation_mask_read(emulator, 2, &mask), 0);
	CHECK_EQ(mask, 0x1234);
	CHECK_EQ(memcmp(area + 1088 + 16, &mask, 8), 0);
	memcpy(&state, area + 512, sizeof(state));
	CHECK_EQ(state & 0xe6, 0xe6);
	/* VEX clears what is above; without it that stays. */
	CHECK_EQ(emulation_vector_write(emulator, 3, data, 16, false), 0);
	CHECK_EQ(memcmp(area + 576 + 3 * 16, data + 16, 16), 0);
	CHECK_EQ(emulation_vector_write(emulator, 3, data, 16, true), 0);
	CHECK_EQ(memcmp(area + 576 + 3 * 16, zeros, 16), 0);
	CHECK_EQ(memcmp(area + 1152 + 3 * 32, zeros, 32), 0);
	end();
}

/* A host without AVX: nothing is emulated that would need it. */
TEST(no_registers_without_their_component)
{
	uint8_t data[64] = { 0 };
	uint64_t mask;
	struct emulator *emulator;

	begin();
	emulator = &vcpu->emulation->emulator;
	vcpu->context->components = 3;
	CHECK_EQ(emulation_vector_write(emulator, 3, data, 32, true), -EOPNOTSUPP);
	CHECK_EQ(emulation_vector_read(emulator, 3, data, 32), -EOPNOTSUPP);
	CHECK_EQ(emulation_vector_read(emulator, 17, data, 16), -EOPNOTSUPP);
	CHECK_EQ(emulation_mask_read(emulator, 1, &mask), -EOPNOTSUPP);
	CHECK_EQ(emulation_vector_write(emulator, 3, data, 16, true), 0);
	end();
}
