// SPDX-License-Identifier: BSD-2-Clause
/* An access to memory that is a device of userspace; emulate.h. */
#include "vm/regs.h"
#include "vm/vcpu.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/fetch.h"
#include "x86/paging/walk.h"

/* What the library's emulator needs: it reads the registers itself. Out of line: VM_RUN only. */
static noinline void fill_inst_emul(struct vcpu *vcpu, uint64_t gpa)
{
	struct vie *vie = &vcpu->exit.u.inst_emul.vie;
	struct seg_desc code = { 0 };
	int count;

	memset(&vcpu->exit.u, 0, sizeof(vcpu->exit.u));
	(void)backend->get_desc(vcpu, VM_REG_GUEST_CS, &code);
	count = x86_fetch(vcpu, vcpu->rip, vie->inst, VIE_INST_SIZE);
	vie->num_valid = count > 0 ? (uint8_t)count : 0;
	vcpu->exit.u.inst_emul.gpa = gpa;
	vcpu->exit.u.inst_emul.cs_base = code.base;
	vcpu->exit.u.inst_emul.cs_d = SEG_DESC_DEF32(code.access);
	x86_paging(vcpu, &vcpu->exit.u.inst_emul.paging);
}

enum exit_action emulate_exit_memory(struct vcpu *vcpu, uint64_t gpa, unsigned int size, bool write,
				     uint64_t value)
{
	vcpu_access_set(vcpu, gpa, size, write, value);
	vcpu->access.port = false;
	if (!vcpu->reply_mode) {
		fill_inst_emul(vcpu, gpa);
		return vcpu_exit_access(vcpu, VM_EXITCODE_INST_EMUL);
	}
	vcpu->exit.u.mmio = (struct vm_mmio){
		.gpa = gpa,
		.data = write ? value : 0,
		.bytes = (uint8_t)size,
		.write = write,
	};
	return vcpu_exit_access(vcpu, VM_EXITCODE_MMIO);
}
