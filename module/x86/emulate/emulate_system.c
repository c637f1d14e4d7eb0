// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instructions that move registers of the system to and from memory (APM vol. 3, system
 * instruction reference). Privilege and CR4.UMIP the processor has checked before it
 * touched memory.
 */
#include "x86/emulate/emulate_internal.h"

int emulate_store_system(struct emulator *emulator)
{
	const struct emulator_ops *ops = emulator->ops;

	if (!ops->system_register)
		return -EOPNOTSUPP;
	switch (emulator->insn->op) {
	case OP_SMSW:
		return emulate_store(emulator, 2, ops->system_register(emulator, VM_REG_GUEST_CR0));
	case OP_SLDT:
		return emulate_store(emulator, 2,
				     ops->system_register(emulator, VM_REG_GUEST_LDTR));
	default: /* OP_STR */
		return emulate_store(emulator, 2, ops->system_register(emulator, VM_REG_GUEST_TR));
	}
}

/* The limit and the whole base, whatever the operand size. */
int emulate_store_table(struct emulator *emulator)
{
	int reg = emulator->insn->op == OP_SGDT ? VM_REG_GUEST_GDTR : VM_REG_GUEST_IDTR;
	unsigned int size = emulator->cpu_mode == CPU_MODE_64BIT ? 10 : 6;
	uint8_t pointer[10];
	struct seg_desc desc;
	uint64_t linear;
	int error;

	if (!emulator->ops->table)
		return -EOPNOTSUPP;
	emulator->ops->table(emulator, reg, &desc);
	memcpy(pointer, &desc.limit, 2);
	memcpy(pointer + 2, &desc.base, 8);
	error = emulate_operand(emulator, size, EMULATE_WRITE, &linear);
	return error ? error : emulator->ops->write(emulator, linear, pointer, size);
}

int emulate_load_status_word(struct emulator *emulator)
{
	uint64_t value;
	int error;

	if (!emulator->ops->set_status_word)
		return -EOPNOTSUPP;
	error = emulate_load(emulator, 2, &value);
	return error ? error : emulator->ops->set_status_word(emulator, (uint16_t)value);
}
