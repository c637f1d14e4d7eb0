// SPDX-License-Identifier: BSD-2-Clause
/* The VM of x86_guest.h. */
#include "x86_guest.h"
#include "unit.h"

#include "run/host.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

/* --- what the scripted back end leaves out ---------------------------------------- */

/* MSRs that hardware switches on either vendor; one set will do for all vCPUs. */
static struct {
	uint32_t number;
	uint64_t value;
} msrs[] = {
	{ MSRN_STAR, 0 },	    { MSRN_LSTAR, 0 },	     { MSRN_CSTAR, 0 },
	{ MSRN_SFMASK, 0 },	    { MSRN_SYSENTER_CS, 0 }, { MSRN_SYSENTER_ESP, 0 },
	{ MSRN_SYSENTER_EIP, 0 },   { MSRN_FS_BASE, 0 },     { MSRN_GS_BASE, 0 },
	{ MSRN_KERNEL_GS_BASE, 0 },
};
static bool has_pdptes;
static struct vmm_backend extended; /* the scripted one, and what is here */

static uint64_t *find_msr(uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		if (msrs[i].number == msr)
			return &msrs[i].value;
	}
	return NULL;
}

static int get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	if (!find_msr(msr))
		return -EINVAL;
	*value = *find_msr(msr);
	return 0;
}

static int set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	if (!find_msr(msr))
		return -EINVAL;
	*find_msr(msr) = value;
	return 0;
}

static bool is_dr(int reg)
{
	return reg >= VM_REG_GUEST_DR0 && reg <= VM_REG_GUEST_DR3;
}

static bool is_pdpte(int reg)
{
	return reg >= VM_REG_GUEST_PDPTE0 && reg <= VM_REG_GUEST_PDPTE3;
}

static int get_reg(struct vcpu *vcpu, int reg, uint64_t *value)
{
	if (is_pdpte(reg) && !has_pdptes)
		return -EINVAL;
	if (!is_dr(reg))
		return fake_backend.get_reg(vcpu, reg, value);
	*value = context_dr(vcpu, (unsigned int)(reg - VM_REG_GUEST_DR0));
	return 0;
}

static int set_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	if (is_pdpte(reg) && !has_pdptes)
		return -EINVAL;
	if (!is_dr(reg))
		return fake_backend.set_reg(vcpu, reg, value);
	context_set_dr(vcpu, (unsigned int)(reg - VM_REG_GUEST_DR0), value);
	return 0;
}

/* --- the VM ------------------------------------------------------------------------ */

static void map_memory(struct vm *vm)
{
	struct vm_memmap map = { .segid = 0, .len = GUEST_MEMORY, .prot = VM_PROT_ALL };

	os_mutex_lock(&vm->lock);
	REQUIRE(memory_alloc_segment(vm, 0, GUEST_MEMORY, "") == 0);
	REQUIRE(memory_map(vm, &map) == 0);
	os_mutex_unlock(&vm->lock);
}

struct vm *guest_create(void)
{
	static const struct vmm_backend *const candidates[] = { &extended, NULL };
	struct vm *vm = NULL;

	extended = fake_backend;
	extended.get_reg = get_reg;
	extended.set_reg = set_reg;
	extended.get_msr = get_msr;
	extended.set_msr = set_msr;
	extended.keeps_pdptes = has_pdptes;
	REQUIRE(vmm_init(candidates) == 0);
	REQUIRE(vm_create("guest", GUEST_VCPUS, &vm) == 0);
	map_memory(vm);
	return vm;
}

void guest_destroy(struct vm *vm)
{
	vm_put(vm);
	vmm_fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

void guest_has_pdptes(bool has)
{
	has_pdptes = has;
	extended.keeps_pdptes = has;
}

void *guest_memory(struct vm *vm, uint64_t gpa)
{
	void *hva;

	REQUIRE(memory_populate(vm, gpa) == 0);
	hva = memory_hva(vm, gpa, VM_PROT_WRITE);
	REQUIRE(hva != NULL);
	return hva;
}

static void flat_segment(struct vcpu *vcpu, int reg, uint32_t type)
{
	fake_vcpu(vcpu)->desc[reg] = (struct seg_desc){
		.limit = 0xffffffff,
		.access = type | SEG_ACCESS_S | SEG_ACCESS_PRESENT | SEG_ACCESS_DB | SEG_ACCESS_G,
	};
}

void guest_code(struct vcpu *vcpu, const void *bytes, unsigned int length)
{
	struct fake_vcpu *state = fake_vcpu(vcpu);

	memcpy(guest_memory(vcpu->vm, GUEST_CODE), bytes, length);
	flat_segment(vcpu, VM_REG_GUEST_CS, 0xb);
	flat_segment(vcpu, VM_REG_GUEST_DS, 0x3);
	flat_segment(vcpu, VM_REG_GUEST_ES, 0x3);
	flat_segment(vcpu, VM_REG_GUEST_SS, 0x3);
	state->reg[VM_REG_GUEST_CR0] = REG_CR0_PE | REG_CR0_ET;
	state->reg[VM_REG_GUEST_CR4] = 0;
	state->reg[VM_REG_GUEST_EFER] = 0;
	vcpu->rip = GUEST_CODE;
	vcpu->next_rip = 0;
	vcpu->rflags = REG_RFLAGS_FIXED1;
	vcpu->exception = 0;
}

void guest_long_mode(struct vcpu *vcpu)
{
	struct fake_vcpu *state = fake_vcpu(vcpu);

	flat_segment(vcpu, VM_REG_GUEST_CS, 0xb);
	flat_segment(vcpu, VM_REG_GUEST_SS, 0x3);
	state->desc[VM_REG_GUEST_CS].access &= ~SEG_ACCESS_DB;
	state->desc[VM_REG_GUEST_CS].access |= SEG_ACCESS_L;
	state->reg[VM_REG_GUEST_CR0] = REG_CR0_PE | REG_CR0_ET | REG_CR0_PG;
	state->reg[VM_REG_GUEST_CR4] = REG_CR4_PAE;
	state->reg[VM_REG_GUEST_EFER] = REG_EFER_LME | REG_EFER_LMA;
	vcpu->rip = GUEST_CODE;
	vcpu->next_rip = 0;
	vcpu->rflags = REG_RFLAGS_FIXED1;
	vcpu->exception = 0;
}

enum exit_action guest_exit(struct vcpu *vcpu, enum exit_action (*handler)(struct vcpu *vcpu),
			    enum instruction_op op)
{
	const struct exit_row row = {
		.handler = handler,
		.needs = EXIT_NEEDS_LENGTH,
		.op = { (uint8_t)op },
	};

	return exit_row_ready(&row, vcpu) ? row.handler(vcpu) : exit_row_decode(&row, vcpu);
}

int guest_exception(const struct vcpu *vcpu)
{
	return vcpu->exception ? (int)VM_INTINFO_VECTOR(vcpu->exception) : -1;
}

int64_t guest_error_code(const struct vcpu *vcpu)
{
	return vcpu->exception & VM_INTINFO_DEL_ERRCODE ? (int64_t)(vcpu->exception >> 32) : -1;
}
