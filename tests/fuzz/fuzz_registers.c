// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that writes anything to MSRs, control registers and XCR0. Whatever it
 * does, what the registers hold afterwards is something a processor allows and the
 * guest is offered, and CPUID can be queried.
 */
#include <stdlib.h>

#include "fake_backend.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/exits/exits.h"
#include "x86/cpu/msr.h"
#include "x86/cpu/registers.h"
#include "vm/regs.h"
#include "x86/cpu/control.h"

#define OPERATIONS 256
#define RAM	   0x200000ull

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm *vm;
static struct vcpu *vcpu;

struct operation {
	uint8_t kind;
	uint8_t row; /* of the table of MSRs, or a register */
	uint8_t offset;
	uint8_t shift; /* the value is moved up by so many bits */
	uint32_t value;
} __attribute__((packed));

static void create(void)
{
	struct vm_memmap map = { .segid = 0, .len = RAM, .prot = VM_PROT_ALL };

	vm = fake_vm_create(1);
	os_mutex_lock(&vm->lock);
	EXPECT(memory_alloc_segment(vm, 0, RAM, "") == 0);
	EXPECT(memory_map(vm, &map) == 0);
	os_mutex_unlock(&vm->lock);
	EXPECT(memory_populate(vm, 0) == 0);
	vcpu = fake_vm_vcpu(vm, 0);
}

/* --- what always holds ----------------------------------------------------------- */

static bool memory_types(uint64_t value, bool uncached_minus)
{
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t type = value >> (8 * i) & 0xff;

		if (type == 2 || type == 3 || type > 7 || (type == 7 && !uncached_minus))
			return false;
	}
	return true;
}

static void check_control(void)
{
	const struct feature_set *features = &vm->cpuid->features;
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t cr4 = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);
	bool paging = cr0 & REG_CR0_PG;

	EXPECT(!(cr0 & ~REG_CR0_DEFINED));
	EXPECT(!paging || (cr0 & REG_CR0_PE));
	EXPECT(!(cr0 & REG_CR0_NW) || (cr0 & REG_CR0_CD));
	EXPECT(!(cr4 & ~features->cr4));
	EXPECT(!(efer & ~features->efer));
	EXPECT(!!(efer & REG_EFER_LMA) == (paging && (efer & REG_EFER_LME)));
	EXPECT(!(efer & REG_EFER_LMA) || (cr4 & REG_CR4_PAE));
	EXPECT(!(cr4 & REG_CR4_PCIDE) || (efer & REG_EFER_LMA));
	EXPECT(!(vcpu_reg(vcpu, VM_REG_GUEST_CR3) & cpuid_phys_reserved(vm)));
	EXPECT(x86_check_xcr0(vcpu, context_xcr0(vcpu)) == 0);
	EXPECT(vcpu_reg(vcpu, VM_REG_GUEST_TPR) <= REG_CR8_TPR);
}

static void check_msrs(void)
{
	EXPECT(vcpu->tsc_offset - vm->tsc_offset == vcpu->tsc_adjust);
	EXPECT(fake_vcpu(vcpu)->tsc_offset == vcpu->tsc_offset);
	EXPECT(memory_types(vcpu->pat, true));
	EXPECT(memory_types(vcpu->mtrr_def_type & 0xff, false));
	for (unsigned int i = 0; i < ARRAY_SIZE(vcpu->mtrr_fixed); i++)
		EXPECT(memory_types(vcpu->mtrr_fixed[i], false));
	for (unsigned int i = 0; i < ARRAY_SIZE(vcpu->mtrr_variable); i++)
		EXPECT(!(vcpu->mtrr_variable[i] & cpuid_phys_reserved(vm)));
	EXPECT(vcpu->context->tsc_aux >> 32 == 0);
	EXPECT(vcpu->context->spec_ctrl == 0); /* this host offers none */
}

/* --- what the guest does ------------------------------------------------------------ */

static uint64_t value_of(const struct operation *operation)
{
	return (uint64_t)operation->value << (operation->shift & 63);
}

/* Mostly registers there are, sometimes others. */
static uint32_t msr_of(const struct operation *operation)
{
	const struct msr_row *row = &msr_rows[operation->row % msr_row_count];

	if (operation->kind & 0x80)
		return operation->value;
	return row->first + operation->offset % (row->last - row->first + 1);
}

static void move_cr(const struct operation *operation)
{
	static const uint8_t crs[] = { 0, 2, 3, 4, 8, 1, 9, 15 };
	unsigned int cr = crs[operation->row % ARRAY_SIZE(crs)];

	vcpu->gpr[GPR_RBX] = value_of(operation);
	vcpu->next_rip = vcpu->rip + 3;
	/* Bits at a time, so that combinations are reached. */
	if ((operation->kind & 0x80) && (cr == 0 || cr == 4))
		vcpu->gpr[GPR_RBX] ^= vcpu_reg(vcpu, cr == 0 ? VM_REG_GUEST_CR0 : VM_REG_GUEST_CR4);
	EXPECT(x86_exit_cr_access(vcpu, cr, !(operation->offset & 1), GPR_RBX) == EXIT_RESUME);
}

static void access_msr(const struct operation *operation)
{
	uint32_t msr = msr_of(operation);
	uint64_t value;
	int error = msr_read(vcpu, msr, &value);

	EXPECT(error == 0 || error == -EINVAL || error == -ENOENT);
	error = msr_write(vcpu, msr, value_of(operation));
	EXPECT(error >= -EINVAL || error == -ENOENT);
}

static void set_xcr0(const struct operation *operation)
{
	vcpu->gpr[GPR_RAX] = operation->value;
	vcpu->gpr[GPR_RDX] = operation->shift;
	vcpu->gpr[GPR_RCX] = operation->row & 1;
	if (operation->kind & 0x80) {
		/* Something likelier, from where it may succeed. */
		(void)x86_write_cr4(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_CR4) | REG_CR4_OSXSAVE);
		vcpu->gpr[GPR_RAX] &= 0xf;
		vcpu->gpr[GPR_RDX] = 0;
	}
	vcpu->next_rip = vcpu->rip + 3;
	EXPECT(x86_exit_xsetbv(vcpu) == EXIT_RESUME);
}

/* A far jump into code of the other kind, where long mode allows it. */
static void change_code_segment(const struct operation *operation)
{
	struct seg_desc *code = &fake_vcpu(vcpu)->desc[VM_REG_GUEST_CS];
	bool wide = operation->row & 1;

	code->access &= ~SEG_ACCESS_L;
	if (wide && (vcpu_reg(vcpu, VM_REG_GUEST_EFER) & REG_EFER_LMA))
		code->access |= SEG_ACCESS_L;
}

static void status_word(const struct operation *operation)
{
	vcpu->next_rip = vcpu->rip + 3;
	if (operation->row & 1)
		EXPECT(x86_exit_clts(vcpu) == EXIT_RESUME);
	else
		EXPECT(x86_exit_lmsw(vcpu, (uint16_t)operation->value) == EXIT_RESUME);
}

static void query_cpuid(const struct operation *operation)
{
	uint32_t regs[4];

	cpuid_query(vcpu, operation->value, operation->row, regs);
	cpuid_query(vcpu, (operation->value & 0x80000000) | operation->offset, operation->row,
		    regs);
}

static void carry_out(const struct operation *operation)
{
	switch (operation->kind % 9) {
	case 0:
	case 1:
		access_msr(operation);
		break;
	case 2:
	case 3:
		move_cr(operation);
		break;
	case 4:
		set_xcr0(operation);
		break;
	case 5:
		change_code_segment(operation);
		break;
	case 6:
		query_cpuid(operation);
		break;
	case 7:
		status_word(operation);
		break;
	default:
		(void)vcpu_set_register(vcpu, VM_REG_GUEST_DR0 + operation->row % 4,
					value_of(operation));
		break;
	}
	vcpu->exception = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct operation operation;

	if (!vm)
		create();
	vcpu_reset(vcpu, false);
	for (unsigned int i = 0; i < OPERATIONS && size >= sizeof(operation); i++) {
		memcpy(&operation, data, sizeof(operation));
		data += sizeof(operation);
		size -= sizeof(operation);
		carry_out(&operation);
		check_control();
		check_msrs();
	}
	(void)fake_requests(vcpu);
	return 0;
}
