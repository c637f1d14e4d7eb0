// SPDX-License-Identifier: BSD-2-Clause
/* The back end and the VM of x86_guest.h. */
#include "x86_guest.h"
#include "unit.h"

#include "core/host.h"
#include "x86/context.h"
#include "x86/regs.h"

/* --- the back end --------------------------------------------------------------- */

static uint64_t leaf_bits(int prot, int memory_type)
{
	(void)memory_type;
	return 5 | (prot & VM_PROT_WRITE ? 2 : 0) | (prot & VM_PROT_EXEC ? 0 : 1ull << 63);
}

static const struct npt_format format = {
	.present = 1,
	.large = 0x80,
	.table = 7,
	.leaf = leaf_bits,
};

struct guest_state *guest_state(struct vcpu *vcpu)
{
	return vcpu->backend_state;
}

static int probe(const char **why, char *facts, size_t size)
{
	*why = "";
	snprintf(facts, size, "arrays");
	return 0;
}

static int no_error(void)
{
	return 0;
}

static void nothing(void)
{
}

static int vm_no_error(struct vm *vm)
{
	(void)vm;
	return 0;
}

static void vm_nothing(struct vm *vm)
{
	(void)vm;
}

static int vcpu_init(struct vcpu *vcpu)
{
	vcpu->backend_state = os_alloc(sizeof(struct guest_state));
	return vcpu->backend_state ? 0 : -ENOMEM;
}

static void vcpu_cleanup(struct vcpu *vcpu)
{
	os_free(vcpu->backend_state);
}

static void reset(struct vcpu *vcpu, bool init)
{
	struct guest_state *state = guest_state(vcpu);

	(void)init;
	memset(state->reg, 0, sizeof(state->reg));
	memset(state->desc, 0, sizeof(state->desc));
	state->reg[VM_REG_GUEST_CR0] = REG_CR0_RESET;
	state->reg[VM_REG_GUEST_DR6] = REG_DR6_RESET;
	state->reg[VM_REG_GUEST_DR7] = REG_DR7_RESET;
}

static void vcpu_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
}

static enum exit_action no_exit(struct vcpu *vcpu)
{
	return vcpu_exit_program(vcpu, VM_EXITCODE_BOGUS);
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
	struct guest_state *state = guest_state(vcpu);

	if (is_pdpte(reg) && !state->has_pdptes)
		return -EINVAL;
	*value = is_dr(reg) ? context_dr(vcpu, (unsigned int)(reg - VM_REG_GUEST_DR0)) :
			      state->reg[reg];
	return 0;
}

static int set_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	struct guest_state *state = guest_state(vcpu);

	if (is_pdpte(reg) && !state->has_pdptes)
		return -EINVAL;
	if (is_dr(reg))
		context_set_dr(vcpu, (unsigned int)(reg - VM_REG_GUEST_DR0), value);
	else
		state->reg[reg] = value;
	return 0;
}

static int get_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc)
{
	*desc = guest_state(vcpu)->desc[reg];
	return 0;
}

static int set_desc(struct vcpu *vcpu, int reg, const struct seg_desc *desc)
{
	guest_state(vcpu)->desc[reg] = *desc;
	return 0;
}

/* The MSRs that hardware switches on either vendor. */
static bool has_msr(uint32_t msr)
{
	switch (msr) {
	case MSRN_STAR:
	case MSRN_LSTAR:
	case MSRN_CSTAR:
	case MSRN_SFMASK:
	case MSRN_SYSENTER_CS:
	case MSRN_SYSENTER_ESP:
	case MSRN_SYSENTER_EIP:
		return true;
	default:
		return false;
	}
}

static uint64_t *find_msr(struct guest_state *state, uint32_t msr)
{
	for (unsigned int i = 0; i < state->msr_count; i++) {
		if (state->msr_number[i] == msr)
			return &state->msr_value[i];
	}
	REQUIRE(state->msr_count < GUEST_MSRS);
	state->msr_number[state->msr_count] = msr;
	return &state->msr_value[state->msr_count++];
}

static int get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	if (!has_msr(msr))
		return -EINVAL;
	*value = *find_msr(guest_state(vcpu), msr);
	return 0;
}

static int set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (!has_msr(msr))
		return -EINVAL;
	*find_msr(guest_state(vcpu), msr) = value;
	return 0;
}

static void inject(struct vcpu *vcpu, uint64_t intinfo)
{
	(void)vcpu;
	(void)intinfo;
}

static void request_window(struct vcpu *vcpu, unsigned int windows, uint8_t vector)
{
	(void)vcpu;
	(void)windows;
	(void)vector;
}

static bool nmi_blocked(struct vcpu *vcpu)
{
	(void)vcpu;
	return false;
}

static void set_nmi_blocked(struct vcpu *vcpu, bool blocked)
{
	(void)vcpu;
	(void)blocked;
}

static void flush_nested(struct vcpu *vcpu)
{
	guest_state(vcpu)->flushes++;
}

static void set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	guest_state(vcpu)->tsc_offset = offset;
}

static int set_capability(struct vcpu *vcpu, enum vm_cap_type cap, bool on)
{
	(void)vcpu;
	(void)cap;
	(void)on;
	return 0;
}

static const struct vmm_backend arrays = {
	.name = "arrays",
	.npt_format = &format,
	.probe = probe,
	.init = no_error,
	.fini = nothing,
	.cpu_enable = no_error,
	.cpu_disable = nothing,
	.vm_init = vm_no_error,
	.vm_cleanup = vm_nothing,
	.vcpu_init = vcpu_init,
	.vcpu_cleanup = vcpu_cleanup,
	.vcpu_reset = reset,
	.load = vcpu_nothing,
	.put = vcpu_nothing,
	.enter = vcpu_nothing,
	.exit = no_exit,
	.get_reg = get_reg,
	.set_reg = set_reg,
	.get_desc = get_desc,
	.set_desc = set_desc,
	.get_msr = get_msr,
	.set_msr = set_msr,
	.inject = inject,
	.request_window = request_window,
	.nmi_blocked = nmi_blocked,
	.set_nmi_blocked = set_nmi_blocked,
	.flush_nested = flush_nested,
	.set_tsc_offset = set_tsc_offset,
	.set_capability = set_capability,
};

/* --- the VM ---------------------------------------------------------------------- */

static void give_memory(struct vm *vm)
{
	struct vm_memmap map = { .segid = 0, .len = GUEST_MEMORY, .prot = VM_PROT_ALL };

	os_mutex_lock(&vm->lock);
	REQUIRE(memory_alloc_segment(vm, 0, GUEST_MEMORY, "") == 0);
	REQUIRE(memory_map(vm, &map) == 0);
	os_mutex_unlock(&vm->lock);
}

struct vm *guest_create(void)
{
	static const struct vmm_backend *const candidates[] = { &arrays, NULL };
	struct vm *vm = NULL;

	REQUIRE(vmm_init(candidates) == 0);
	REQUIRE(vm_create("guest", GUEST_VCPUS, &vm) == 0);
	give_memory(vm);
	return vm;
}

void guest_destroy(struct vm *vm)
{
	vm_put(vm);
	vmm_fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

struct vcpu *guest_vcpu(struct vm *vm, int id)
{
	struct vcpu *vcpu = NULL;

	REQUIRE(vm_vcpu_create(vm, id, &vcpu) == 0);
	vcpu->wait_sipi = false;
	return vcpu;
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
	guest_state(vcpu)->desc[reg] = (struct seg_desc){
		.limit = 0xffffffff,
		.access = type | SEG_ACCESS_S | SEG_ACCESS_PRESENT | SEG_ACCESS_DB | SEG_ACCESS_G,
	};
}

void guest_code(struct vcpu *vcpu, const void *bytes, unsigned int length)
{
	struct guest_state *state = guest_state(vcpu);

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
	struct guest_state *state = guest_state(vcpu);

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

int guest_exception(const struct vcpu *vcpu)
{
	return vcpu->exception ? (int)VM_INTINFO_VECTOR(vcpu->exception) : -1;
}

int64_t guest_error_code(const struct vcpu *vcpu)
{
	return vcpu->exception & VM_INTINFO_DEL_ERRCODE ? (int64_t)(vcpu->exception >> 32) : -1;
}
