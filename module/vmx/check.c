// SPDX-License-Identifier: BSD-2-Clause
/*
 * What VM entry wants of the guest's registers (SDM vol. 3, 26.3.1), looked at before
 * an entry that follows changes from outside. A processor would say no more than
 * "invalid guest state"; this says which register it is.
 */
#include "vmx/vcpu.h"

#include "x86/cpu/cpuid.h"
#include "x86/cpu/control.h"
#include "x86/cpu/legal.h"

/* Numbers of segment registers, from VM_REG_GUEST_ES. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

#define TYPE_DATA_WRITABLE 3u /* accessed; S is not counted here */

struct segment_view {
	uint64_t selector, base;
	uint32_t limit, access;
	unsigned int type, dpl;
	bool usable;
};

/* The registers that others are checked against. */
struct check {
	struct vcpu *vcpu;
	struct vmx_vcpu *vmx;
	uint64_t cr0, cr4, efer, rflags;
	bool long_mode, virtual_8086;
	struct segment_view segment[8];
};

static bool check_is_canonical(const struct check *check, uint64_t address)
{
	return cpuid_canonical(check->vcpu->vm, address);
}

static void view_segment(struct check *check, unsigned int n)
{
	struct segment_view *view = &check->segment[n];

	view->selector = vmx_get(check->vmx, FIELD_ES_SELECTOR + 4 * n);
	view->base = vmx_get(check->vmx, FIELD_ES_BASE + 4 * n);
	view->limit = (uint32_t)vmx_get(check->vmx, FIELD_ES_LIMIT + 4 * n);
	view->access = (uint32_t)vmx_get(check->vmx, FIELD_ES_ACCESS + 4 * n);
	view->type = view->access & 0xf;
	view->dpl = SEG_DESC_DPL(view->access);
	view->usable = !(view->access & SEG_ACCESS_UNUSABLE);
}

static void view_registers(struct check *check, struct vcpu *vcpu)
{
	check->vcpu = vcpu;
	check->vmx = vmx_vcpu(vcpu);
	check->cr0 = vmx_get(check->vmx, FIELD_CR0);
	check->cr4 = vmx_get(check->vmx, FIELD_CR4);
	check->efer = vmx_get(check->vmx, FIELD_EFER);
	check->rflags = vcpu->rflags;
	check->long_mode = check->efer & REG_EFER_LMA;
	check->virtual_8086 = check->rflags & REG_RFLAGS_VM;
	for (unsigned int n = 0; n < ARRAY_SIZE(check->segment); n++)
		view_segment(check, n);
}

/* --- control registers (26.3.1.1) --- */

static const char *check_control(const struct check *check)
{
	uint64_t cr0_must = vmx_capabilities.cr0_fixed0 & ~(REG_CR0_PE | REG_CR0_PG);

	if ((cr0_must & ~check->cr0) || (check->cr0 & ~vmx_capabilities.cr0_fixed1))
		return "CR0 has bits this processor fixes otherwise";
	if ((vmx_capabilities.cr4_fixed0 & ~check->cr4) ||
	    (check->cr4 & ~vmx_capabilities.cr4_fixed1))
		return "CR4 has bits this processor fixes otherwise";
	if (check->long_mode && !(check->cr4 & REG_CR4_PAE))
		return "long mode without CR4.PAE";
	if (!check->long_mode && (check->cr4 & REG_CR4_PCIDE))
		return "CR4.PCIDE outside long mode";
	if (vmx_get(check->vmx, FIELD_CR3) & cpuid_phys_reserved(check->vcpu->vm))
		return "CR3 lies beyond the physical addresses";
	if (!check_is_canonical(check, vmx_get(check->vmx, FIELD_SYSENTER_ESP)) ||
	    !check_is_canonical(check, vmx_get(check->vmx, FIELD_SYSENTER_EIP)))
		return "SYSENTER_ESP or SYSENTER_EIP is not canonical";
	return NULL;
}

/* --- segments (26.3.1.2) --- */

/* In virtual-8086 mode the hidden parts have one legal value each. */
static const char *check_virtual_8086(const struct check *check)
{
	for (unsigned int n = ES; n <= GS; n++) {
		const struct segment_view *seg = &check->segment[n];

		if (seg->base != seg->selector << 4 || seg->limit != 0xffff || seg->access != 0xf3)
			return "a segment is not as virtual-8086 mode has it";
	}
	return NULL;
}

/* Limits above 1 MiB count pages, whole ones. */
static bool granularity_fits(const struct segment_view *seg)
{
	if (seg->access & SEG_ACCESS_G)
		return (seg->limit & 0xfff) == 0xfff;
	return seg->limit <= 0xfffff;
}

static bool is_code_or_data(const struct segment_view *seg)
{
	return (seg->access & SEG_ACCESS_S) && (seg->access & SEG_ACCESS_PRESENT) &&
	       granularity_fits(seg);
}

static const char *check_code(const struct check *check)
{
	const struct segment_view *code = &check->segment[CS];
	unsigned int stack_dpl = check->segment[SS].dpl;
	uint32_t both = SEG_ACCESS_L | SEG_ACCESS_DB;

	if (!code->usable || !is_code_or_data(code) || code->base >> 32)
		return "CS cannot be used";
	if (check->long_mode && (code->access & both) == both)
		return "CS.L and CS.D are both set";
	switch (code->type) {
	case TYPE_DATA_WRITABLE: /* of real mode, as it was left */
		return code->dpl == 0 ? NULL : "CS is a data segment with a DPL";
	case 9:
	case 11:
		return code->dpl == stack_dpl ? NULL : "CS.DPL is not SS.DPL";
	case 13:
	case 15:
		return code->dpl <= stack_dpl ? NULL : "CS.DPL is above SS.DPL";
	default:
		return "CS has a type that no code segment has";
	}
}

static const char *check_stack(const struct check *check)
{
	const struct segment_view *stack = &check->segment[SS];
	bool real_code = check->segment[CS].type == TYPE_DATA_WRITABLE;

	if ((real_code || !(check->cr0 & REG_CR0_PE)) && stack->dpl)
		return "SS.DPL is not 0 in real mode, or with a CS of real mode";
	if (!stack->usable)
		return NULL;
	if (!is_code_or_data(stack) || stack->base >> 32 ||
	    (stack->type != TYPE_DATA_WRITABLE && stack->type != 7))
		return "SS is no writable data segment";
	return NULL;
}

static const char *check_data(const struct check *check, unsigned int n)
{
	const struct segment_view *seg = &check->segment[n];
	bool wide = n == FS || n == GS; /* their bases have 64 bits */

	if (wide && !check_is_canonical(check, seg->base))
		return "the base of FS or GS is not canonical";
	if (!seg->usable)
		return NULL;
	if (!is_code_or_data(seg) || !(seg->type & SEG_ACCESS_ACCESSED) ||
	    (!wide && seg->base >> 32))
		return "a data segment is not what a MOV could have loaded";
	if ((seg->type & SEG_ACCESS_CODE) && !(seg->type & SEG_ACCESS_WRITABLE))
		return "a data segment is code that cannot be read";
	return NULL;
}

static const char *check_system(const struct check *check)
{
	const struct segment_view *tss = &check->segment[TR], *ldt = &check->segment[LDTR];
	unsigned int type = tss->access & SEG_ACCESS_TYPE;

	if (!tss->usable || !granularity_fits(tss) || (tss->selector & 4) ||
	    !check_is_canonical(check, tss->base))
		return "TR cannot be used";
	if (type != SEG_TYPE_TSS32_BUSY && (check->long_mode || type != SEG_TYPE_TSS16_BUSY))
		return "TR is no busy TSS of this mode";
	if (ldt->usable &&
	    ((ldt->access & SEG_ACCESS_TYPE) != SEG_TYPE_LDT || !granularity_fits(ldt) ||
	     (ldt->selector & 4) || !check_is_canonical(check, ldt->base)))
		return "LDTR is no LDT";
	return NULL;
}

static const char *check_segments(const struct check *check)
{
	const char *why;

	if (check->virtual_8086)
		return check_virtual_8086(check);
	why = check_stack(check);
	if (!why)
		why = check_code(check);
	for (unsigned int n = ES; n <= GS && !why; n++) {
		if (n != CS && n != SS)
			why = check_data(check, n);
	}
	return why;
}

/* --- tables, RIP, RFLAGS (26.3.1.3 and 26.3.1.4) --- */

static const char *check_tables(const struct check *check)
{
	if (!check_is_canonical(check, vmx_get(check->vmx, FIELD_GDTR_BASE)) ||
	    !check_is_canonical(check, vmx_get(check->vmx, FIELD_IDTR_BASE)))
		return "the base of GDTR or IDTR is not canonical";
	return NULL;
}

/* The bits that addresses do not have are equal; the one below may differ: a fault to come. */
static bool rip_fits(const struct check *check)
{
	int64_t rest = (int64_t)check->vcpu->rip >> check->vcpu->vm->cpuid->linear_bits;

	return rest == 0 || rest == -1;
}

static const char *check_flow(const struct check *check)
{
	bool wide = check->long_mode && (check->segment[CS].access & SEG_ACCESS_L);

	if (!wide && check->vcpu->rip >> 32)
		return "RIP is above 4 GiB outside 64-bit mode";
	if (wide && !rip_fits(check))
		return "RIP is not canonical";
	if (check->virtual_8086 && (check->long_mode || !(check->cr0 & REG_CR0_PE)))
		return "RFLAGS.VM where there is no virtual-8086 mode";
	return NULL;
}

/* --- what follows from what --- */

static void vmx_derive_lma(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint64_t efer = legal_efer_lma(vmx_get(vmx, FIELD_EFER), vmx_get(vmx, FIELD_CR0));

	vmx_set(vmx, FIELD_EFER, efer);
	vmx_set_bits(vmx, FIELD_ENTRY_CONTROLS, ENTRY_CONTROL_IA32E_GUEST, efer & REG_EFER_LMA);
}

/* The pointers of PAE paging are registers here: userspace that set CR3 need not know. */
static const char *vmx_derive_pdptes(struct vcpu *vcpu)
{
	if (!vmx_vcpu(vcpu)->pdptes_stale)
		return NULL;
	if (x86_reload_pdptes(vcpu))
		return "CR3 leads to no legal PAE page directory pointers";
	vmx_vcpu(vcpu)->pdptes_stale = false;
	return NULL;
}

const char *vmx_check_state(struct vcpu *vcpu)
{
	static const char *(*const checks[])(const struct check *check) = {
		check_control, check_segments, check_system, check_tables, check_flow,
	};
	struct check check;
	const char *why;

	vmx_derive_lma(vcpu);
	why = vmx_derive_pdptes(vcpu);
	view_registers(&check, vcpu);
	for (size_t i = 0; i < ARRAY_SIZE(checks) && !why; i++)
		why = checks[i](&check);
	vmx_vcpu(vcpu)->check_state = why != NULL;
	return why;
}
