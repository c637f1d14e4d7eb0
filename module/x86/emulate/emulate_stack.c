// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instructions with a second operand on the stack, and jumps, through memory
 * (APM vol. 2, 4.5.2, and vol. 3).
 */
#include "x86/emulate/emulate_internal.h"

/* Bytes of the stack pointer in use: by mode, else by the stack segment's B bit. */
static unsigned int stack_size(struct emulator *emulator)
{
	struct seg_desc desc;

	if (emulator->cpu_mode == CPU_MODE_64BIT)
		return 8;
	emulator->ops->segment(emulator, SEGMENT_SS, &desc);
	return desc.access & SEG_ACCESS_DB ? 4 : 2;
}

static void set_stack_pointer(struct emulator *emulator, unsigned int width, uint64_t value)
{
	uint64_t *rsp = &emulator->gpr[REGISTER_RSP];

	*rsp = (*rsp & ~low_bytes(~0ull, width)) | low_bytes(value, width);
}

/* Writes below the stack pointer, which moves if that succeeds. */
static int push_value(struct emulator *emulator, unsigned int size, uint64_t value)
{
	unsigned int width = stack_size(emulator);
	uint64_t pointer = low_bytes(emulator->gpr[REGISTER_RSP] - size, width);
	uint64_t linear;
	int error = emulate_linear(emulator, SEGMENT_SS, pointer, size, EMULATE_WRITE, &linear);

	if (!error)
		error = emulator->ops->write(emulator, linear, &value, size);
	if (!error)
		set_stack_pointer(emulator, width, pointer);
	return error;
}

int emulate_push(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t value;
	int error = emulate_load(emulator, size, &value);

	return error ? error : push_value(emulator, size, value);
}

/* An address formed with the stack pointer uses its new value. */
int emulate_pop(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	unsigned int width = stack_size(emulator);
	uint64_t old = emulator->gpr[REGISTER_RSP];
	uint64_t linear, value = 0;
	int error = emulate_linear(emulator, SEGMENT_SS, low_bytes(old, width), size, EMULATE_READ,
				   &linear);

	if (!error)
		error = emulator->ops->read(emulator, linear, &value, size, EMULATE_READ);
	if (error)
		return error;
	set_stack_pointer(emulator, width, old + size);
	error = emulate_store(emulator, size, value);
	if (error)
		emulator->gpr[REGISTER_RSP] = old;
	return error;
}

/* May execution go on there? */
static int check_target(struct emulator *emulator, uint64_t target)
{
	struct seg_desc code;
	uint64_t linear;

	if (emulator->cpu_mode == CPU_MODE_64BIT) {
		if (emulate_linear(emulator, SEGMENT_CS, target, 1, EMULATE_READ, &linear))
			return emulator_fault(emulator, VECTOR_GP, 0);
		return 0;
	}
	emulator->ops->segment(emulator, SEGMENT_CS, &code);
	return target > code.limit ? emulator_fault(emulator, VECTOR_GP, 0) : 0;
}

int emulate_jump(struct emulator *emulator)
{
	uint64_t target;
	int error = emulate_load(emulator, emulator->insn->operand_size, &target);

	if (!error)
		error = check_target(emulator, target);
	if (!error)
		emulator->rip = target;
	return error;
}

int emulate_call(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t target;
	int error = emulate_load(emulator, size, &target);

	if (!error)
		error = check_target(emulator, target);
	if (!error)
		error = push_value(emulator, size, emulator->rip + emulator->insn->length);
	if (!error)
		emulator->rip = target;
	return error;
}
