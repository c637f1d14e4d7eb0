// SPDX-License-Identifier: BSD-2-Clause
/* A VM on the AMD back end, and the processor that runs it; svm_vm.h. */
#include "svm_vm.h"

#include "os/user/os_user.h"
#include "svm/nested.h"
#include "svm/switch.h"
#include "vm/regs.h"
#include "x86/cpu/context.h"

/* --- the processor ---------------------------------------------------------- */

struct amd_processor amd_processor;

void svm_world_switch(uint64_t guest_pa, uint64_t *gpr, uint64_t host_pa, uint32_t flags)
{
	struct vmcb *vmcb = os_phys_to_virt(guest_pa);

	(void)gpr;
	(void)host_pa;
	(void)flags;
	amd_processor.seen = *vmcb;
	amd_processor.entries++;
	vmcb->control.exitcode = amd_processor.exitcode;
	vmcb->control.exitintinfo = amd_processor.exitintinfo;
	vmcb->control.interrupt_shadow = 0;
	if (amd_processor.rip)
		vmcb->save.rip = amd_processor.rip;
	if (amd_processor.run)
		amd_processor.run(vmcb);
}

void svm_save_host(uint64_t host_pa)
{
	struct vmcb *host = os_phys_to_virt(host_pa);

	host->save.ldtr.selector = os_read_ldtr();
	amd_processor.host_saves++;
}

void svm_write_cr2(uint64_t value)
{
	amd_processor.cr2 = value;
}

void svm_set_gif(void)
{
	amd_processor.gif_set = true;
}

/* --- a machine around it ------------------------------------------------------- */

static struct vm *vm;

void svm_offer(uint32_t features)
{
	const uint32_t max[4] = { 0x8000000a };
	const uint32_t extended[4] = { 0, 0, 4, 0 };
	const uint32_t svm[4] = { 1, SVM_ASIDS, 0, features };

	os_user_set_cpuid(0x80000000, 0, max);
	os_user_set_cpuid(0x80000001, 0, extended);
	os_user_set_cpuid(0x8000000a, 0, svm);
	os_user_set_msr(MSRN_EFER, REG_EFER_LMA | REG_EFER_LME);
	os_user_set_msr(MSRN_PAT, MSRN_PAT_RESET);
	os_user_set_msr(MSRN_VM_CR, 0);
}

void svm_start(uint32_t features)
{
	static struct vm the_vm;
	const char *why = "";
	char facts[160];

	os_user_reset();
	memset(&amd_processor, 0, sizeof(amd_processor));
	amd_processor.exitcode = VMEXIT_INTR;
	svm_offer(features);
	REQUIRE(svm_backend.probe(&why, facts, sizeof(facts)) == 0);
	REQUIRE(svm_backend.module.init() == 0);
	for (unsigned int i = 0; i < 2; i++) {
		os_user_move_to_cpu(i);
		REQUIRE(svm_backend.cpu_enable() == 0);
	}
	os_user_move_to_cpu(0);
	vm = &the_vm;
	backend = &svm_backend;
	vm->max_vcpus = 2;
	REQUIRE(npt_init(&vm->npt, &svm_npt_format, 4) == 0);
}

struct vcpu *svm_make_vcpu(int id)
{
	struct vcpu *vcpu = os_alloc(sizeof(*vcpu));

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->context = os_alloc(sizeof(*vcpu->context));
	vcpu->stats = os_alloc(stats_count() * sizeof(uint64_t));
	REQUIRE(svm_backend.vcpu_init(vcpu) == 0);
	svm_backend.vcpu_reset(vcpu, false);
	vcpu->rip = 0x1000;
	vcpu->rflags = REG_RFLAGS_FIXED1;
	return vcpu;
}

void svm_free_vcpu(struct vcpu *vcpu)
{
	svm_backend.vcpu_cleanup(vcpu);
	os_free(vcpu->context);
	os_free(vcpu->stats);
	os_free(vcpu);
}

void svm_stop(void)
{
	npt_fini(&vm->npt);
	svm_backend.module.fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

void svm_entry(struct vcpu *vcpu)
{
	svm_backend.load(vcpu);
	os_irq_disable();
	svm_backend.enter(vcpu);
	os_irq_enable();
}

enum exit_action svm_entry_and_exit(struct vcpu *vcpu)
{
	svm_entry(vcpu);
	return svm_backend.exit(vcpu);
}

bool svm_seen_intercept(unsigned int intercept)
{
	return amd_processor.seen.control.intercept[intercept / 32] >> (intercept % 32) & 1;
}
