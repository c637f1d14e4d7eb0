// SPDX-License-Identifier: BSD-2-Clause
/* A VM on the Intel back end; vmx_vm.h. */
#include "vmx_vm.h"

#include "x86/cpu/context.h"
#include "vm/regs.h"

#define FLAT_CODE 0xc09b
#define FLAT_DATA 0xc093
#define LONG_CODE 0xa09b

struct vm *vmx_vm;

struct vcpu *vmx_start_here(void)
{
	static const struct vmm_backend *const candidates[] = { &vmx_backend, NULL };
	struct vcpu *vcpu = NULL;

	REQUIRE(vmm_init(candidates) == 0);
	REQUIRE(vm_create("vmx", 2, &vmx_vm) == 0);
	REQUIRE(vm_vcpu_create(vmx_vm, 0, &vcpu) == 0);
	processor.vcpu = vcpu;
	(void)vmx_requests(vcpu);
	return vcpu;
}

struct vcpu *vmx_start(void)
{
	processor_start();
	return vmx_start_here();
}

struct vcpu *vmx_second(void)
{
	struct vcpu *vcpu = NULL;

	REQUIRE(vm_vcpu_create(vmx_vm, 1, &vcpu) == 0);
	vcpu->wait_sipi = false;
	return vcpu;
}

void vmx_stop(void)
{
	vm_put(vmx_vm);
	vmm_fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
	CHECK(!vmx_is_on());
}

/* --- the inner loop ------------------------------------------------------- */

void vmx_begin(struct vcpu *vcpu)
{
	os_run_begin();
	context_load(vcpu);
	vmx_backend.load(vcpu);
}

void vmx_end(struct vcpu *vcpu)
{
	vmx_backend.edges.put(vcpu);
	context_put(vcpu);
	os_run_end();
}

void vmx_entry(struct vcpu *vcpu)
{
	os_irq_disable();
	vmx_backend.enter(vcpu);
	os_irq_enable();
}

enum exit_action vmx_entry_and_exit(struct vcpu *vcpu)
{
	vmx_entry(vcpu);
	return vmx_backend.exit(vcpu);
}

enum exit_action vmx_turn(struct vcpu *vcpu)
{
	enum exit_action action;

	vmx_begin(vcpu);
	action = vmx_entry_and_exit(vcpu);
	vmx_end(vcpu);
	return action;
}

/* --- registers ------------------------------------------------------------ */

void vmx_put_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	CHECK_EQ_AT(vcpu_set_register(vcpu, reg, value), 0, "register %d", reg);
}

uint64_t vmx_reg(struct vcpu *vcpu, int reg)
{
	uint64_t value = 0;

	CHECK_EQ_AT(vcpu_get_register(vcpu, reg, &value), 0, "register %d", reg);
	return value;
}

void vmx_put_desc(struct vcpu *vcpu, int reg, uint64_t base, uint32_t limit, uint32_t access)
{
	const struct seg_desc desc = { .base = base, .limit = limit, .access = access };

	CHECK_EQ_AT(vmx_backend.set_desc(vcpu, reg, &desc), 0, "register %d", reg);
}

static void flat_segments(struct vcpu *vcpu, uint32_t code)
{
	vmx_put_reg(vcpu, VM_REG_GUEST_CS, 8);
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffffffff, code);
	for (int reg = VM_REG_GUEST_SS; reg <= VM_REG_GUEST_GS; reg++) {
		vmx_put_reg(vcpu, reg, 16);
		vmx_put_desc(vcpu, reg, 0, 0xffffffff, FLAT_DATA);
	}
	vmx_put_desc(vcpu, VM_REG_GUEST_ES, 0, 0xffffffff, FLAT_DATA);
	vcpu->rip = 0x1000;
	vcpu->rflags = REG_RFLAGS_FIXED1;
}

void vmx_protected_mode(struct vcpu *vcpu)
{
	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PE | REG_CR0_NE | REG_CR0_ET);
	flat_segments(vcpu, FLAT_CODE);
}

void vmx_long_mode(struct vcpu *vcpu)
{
	vmx_put_reg(vcpu, VM_REG_GUEST_CR3, 0x5000);
	vmx_put_reg(vcpu, VM_REG_GUEST_CR4, REG_CR4_PAE);
	vmx_put_reg(vcpu, VM_REG_GUEST_EFER, REG_EFER_LME);
	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PG | REG_CR0_PE | REG_CR0_NE | REG_CR0_ET);
	flat_segments(vcpu, LONG_CODE);
}

uint32_t vmx_requests(struct vcpu *vcpu)
{
	return __atomic_exchange_n(&vcpu->requests, 0, __ATOMIC_SEQ_CST);
}
