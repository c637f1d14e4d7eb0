// SPDX-License-Identifier: BSD-2-Clause
/*
 * The instruction emulator for userspace: the module's own decoder and engine, with
 * registers, page tables and memory reached through the library.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include <machine/vmm_instruction_emul.h>

#include "x86/emulate/emulate_insn.h"
#include "x86/emulate/pieces.h"
#include "vm/regs.h"

#include "internal.h"

#define PAGE_BYTES 4096ULL
#define GPR_COUNT  16
#define MOST_TURNS 64 /* how often another vCPU may win a compare-and-exchange */

/* One call of vmm_emulate_instruction(). */
struct emulation {
	struct emulator emulator; /* first: the engine's callbacks get this */
	struct vcpu *vcpu;
	struct vm_guest_paging *paging;
	mem_region_read_t read;
	mem_region_write_t write;
	void *argument;
	bool injected; /* VM_GLA2GPA has put the exception into the guest */
	int error;     /* what a callback of the VMM process returned */
};

/* General registers in encoding order, then the rest of what the engine changes. */
static const int register_names[] = {
	VM_REG_GUEST_RAX,
	VM_REG_GUEST_RCX,
	VM_REG_GUEST_RDX,
	VM_REG_GUEST_RBX,
	VM_REG_GUEST_RSP,
	VM_REG_GUEST_RBP,
	VM_REG_GUEST_RSI,
	VM_REG_GUEST_RDI,
	VM_REG_GUEST_R8,
	VM_REG_GUEST_R9,
	VM_REG_GUEST_R10,
	VM_REG_GUEST_R11,
	VM_REG_GUEST_R12,
	VM_REG_GUEST_R13,
	VM_REG_GUEST_R14,
	VM_REG_GUEST_R15,
	/* RIP_INDEX, RFLAGS_INDEX */
	VM_REG_GUEST_RIP,
	VM_REG_GUEST_RFLAGS,
};
#define RIP_INDEX      GPR_COUNT
#define RFLAGS_INDEX   (GPR_COUNT + 1)
#define REGISTER_COUNT (GPR_COUNT + 2)

static struct emulation *emulation_of(struct emulator *emulator)
{
	return (struct emulation *)emulator;
}

/* --- memory --------------------------------------------------------------------- */

static int translate_piece(struct emulator *emulator, uint64_t linear, bool write,
			   struct piece *piece)
{
	struct emulation *emulation = emulation_of(emulator);
	int prot = write ? VM_PROT_WRITE : VM_PROT_READ;
	int fault;

	if (vm_gla2gpa(emulation->vcpu, emulation->paging, linear, prot, &piece->gpa, &fault))
		return -EINVAL;
	if (fault) {
		emulation->injected = true;
		return -EFAULT;
	}
	piece->hva = vm_map_gpa(emulation->vcpu->ctx, piece->gpa, piece->size);
	return 0;
}

static int find_pieces(struct emulator *emulator, uint64_t linear, unsigned int size,
		       enum emulate_access access, struct piece pieces[MOST_PIECES])
{
	return pieces_translate(emulator, linear, size, access != EMULATE_READ, translate_piece,
				pieces);
}

static int device_piece(struct emulation *emulation, const struct piece *piece, uint8_t *data,
			bool write)
{
	unsigned int done = 0;

	while (done < piece->size && emulation->error == 0) {
		unsigned int bytes = piece_device_access(piece->size - done);
		uint64_t value = 0;

		if (write) {
			memcpy(&value, data + done, bytes);
			emulation->error = emulation->write(emulation->vcpu, piece->gpa + done,
							    value, (int)bytes, emulation->argument);
		} else {
			emulation->error = emulation->read(emulation->vcpu, piece->gpa + done,
							   &value, (int)bytes, emulation->argument);
			memcpy(data + done, &value, bytes);
		}
		done += bytes;
	}
	return emulation->error ? -EIO : 0;
}

static int access_memory(struct emulator *emulator, uint64_t linear, uint8_t *data,
			 unsigned int size, enum emulate_access access, bool write)
{
	struct emulation *emulation = emulation_of(emulator);
	struct piece pieces[MOST_PIECES];
	int count = find_pieces(emulator, linear, size, access, pieces);
	int error = count < 0 ? count : 0;

	for (int i = 0; i < count && !error; i++) {
		if (!pieces[i].hva)
			error = device_piece(emulation, &pieces[i], data, write);
		else if (write)
			piece_write_ram(&pieces[i], data);
		else
			piece_read_ram(&pieces[i], data);
		data += pieces[i].size;
	}
	return error;
}

static int read_memory(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		       enum emulate_access access)
{
	return access_memory(emulator, linear, data, size, access, false);
}

static int write_memory(struct emulator *emulator, uint64_t linear, const void *data,
			unsigned int size)
{
	uint8_t copy[64];

	memcpy(copy, data, size);
	return access_memory(emulator, linear, copy, size, EMULATE_WRITE, true);
}

static int probe_memory(struct emulator *emulator, uint64_t linear, unsigned int size,
			enum emulate_access access)
{
	struct piece pieces[MOST_PIECES];
	int count = find_pieces(emulator, linear, size, access, pieces);

	return count < 0 ? count : 0;
}

static int exchange_memory(struct emulator *emulator, uint64_t linear, const void *old,
			   const void *new, unsigned int size)
{
	struct piece pieces[MOST_PIECES];
	int count = find_pieces(emulator, linear, size, EMULATE_UPDATE, pieces);

	if (count < 0)
		return count;
	if (count == 1 && pieces[0].hva)
		return piece_exchange_ram(&pieces[0], old, new);
	return write_memory(emulator, linear, new, size);
}

/* --- segments --------------------------------------------------------------------- */

static const int segment_names[SEGMENT_COUNT] = {
	[SEGMENT_ES] = VM_REG_GUEST_ES, [SEGMENT_CS] = VM_REG_GUEST_CS,
	[SEGMENT_SS] = VM_REG_GUEST_SS, [SEGMENT_DS] = VM_REG_GUEST_DS,
	[SEGMENT_FS] = VM_REG_GUEST_FS, [SEGMENT_GS] = VM_REG_GUEST_GS,
};

/* A vCPU that no longer exists has no segments: what follows fails as well. */
static void get_segment(struct emulator *emulator, enum segment segment, struct seg_desc *desc)
{
	struct vcpu *vcpu = emulation_of(emulator)->vcpu;

	memset(desc, 0, sizeof(*desc));
	(void)vm_get_seg_desc(vcpu, segment_names[segment], desc);
}

static uint16_t get_selector(struct emulator *emulator, enum segment segment)
{
	uint64_t value = 0;

	(void)vm_get_register(emulation_of(emulator)->vcpu, segment_names[segment], &value);
	return (uint16_t)value;
}

static uint64_t get_system_register(struct emulator *emulator, int reg)
{
	uint64_t value = 0;

	(void)vm_get_register(emulation_of(emulator)->vcpu, reg, &value);
	return value;
}

static void get_table(struct emulator *emulator, int reg, struct seg_desc *desc)
{
	memset(desc, 0, sizeof(*desc));
	(void)vm_get_seg_desc(emulation_of(emulator)->vcpu, reg, desc);
}

static const struct emulator_ops ops = {
	.segment = get_segment,
	.selector = get_selector,
	.system_register = get_system_register,
	.table = get_table,
	.read = read_memory,
	.write = write_memory,
	.probe = probe_memory,
	.exchange = exchange_memory,
};

/* --- decoding ------------------------------------------------------------- */

void vie_restart(struct vie *vie)
{
	vie->num_processed = 0;
	vie->decoded = 0;
}

void vie_init(struct vie *vie, const char *inst_bytes, int inst_length)
{
	memset(vie, 0, sizeof(*vie));
	if (inst_length < 0)
		return;
	vie->num_valid = (uint8_t)MIN(inst_length, VIE_INST_SIZE);
	memcpy(vie->inst, inst_bytes, vie->num_valid);
}

static enum decode_mode decode_mode(enum vm_cpu_mode cpu_mode, int csd)
{
	if (cpu_mode == CPU_MODE_64BIT)
		return DECODE_64;
	return csd ? DECODE_32 : DECODE_16;
}

static int decode_bytes(enum vm_cpu_mode cpu_mode, int csd, const struct vie *vie,
			struct instruction *insn)
{
	unsigned int count = MIN(vie->num_valid, VIE_INST_SIZE);

	return decode_instruction(insn, vie->inst, count, decode_mode(cpu_mode, csd));
}

int vmm_decode_instruction(enum vm_cpu_mode cpu_mode, int csd, struct vie *vie)
{
	struct instruction insn;

	if (decode_bytes(cpu_mode, csd, vie, &insn) || insn.op == OP_OTHER)
		return -1;
	vie->num_processed = insn.length;
	vie->decoded = 1;
	return 0;
}

/* The module may have been unable to fetch the bytes without sleeping. */
static int fetch_instruction(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t linear,
			     struct vie *vie)
{
	size_t in_page = PAGE_BYTES - linear % PAGE_BYTES;
	struct iovec iov[2];
	size_t size = VIE_INST_SIZE;
	int fault = 0;

	/* The next page need not exist if the instruction ends before it. */
	if (vm_copy_setup(vcpu, paging, linear, MIN(size, in_page), VM_PROT_EXEC, iov, 1, &fault))
		return errno;
	if (fault)
		return EFAULT;
	size = MIN(size, in_page);
	vm_copyin(iov, vie->inst, size);
	vie->num_valid = (uint8_t)size;
	return 0;
}

/* --- registers ------------------------------------------------------------ */

static bool has_feature(unsigned int leaf, unsigned int subleaf, int output, unsigned int bit)
{
	unsigned int value[4] = { 0 };

	if (!__get_cpuid_count(leaf, subleaf, &value[0], &value[1], &value[2], &value[3]))
		return false;
	return value[output] >> bit & 1;
}

#define OUTPUT_EBX 1
#define OUTPUT_ECX 2

static void set_features(struct emulator *emulator)
{
	emulator->has_tzcnt = has_feature(7, 0, OUTPUT_EBX, 3); /* BMI1 */
	emulator->has_lzcnt = has_feature(0x80000001, 0, OUTPUT_ECX, 5);
}

/* Writes back what the engine has changed; RIP always, as execution resumes there. */
static int put_registers(struct vcpu *vcpu, const uint64_t *before, uint64_t *after)
{
	uint64_t values[REGISTER_COUNT];
	int names[REGISTER_COUNT];
	unsigned int count = 0;

	for (unsigned int i = 0; i < REGISTER_COUNT; i++) {
		if (i != RIP_INDEX && before[i] == after[i])
			continue;
		names[count] = register_names[i];
		values[count++] = after[i];
	}
	return vm_set_register_set(vcpu, count, names, values) ? errno : 0;
}

/* An exception in the guest, at the instruction. */
static int inject_exception(struct emulation *emulation, uint64_t rip)
{
	const struct emulator *emulator = &emulation->emulator;

	if (vm_set_register(emulation->vcpu, VM_REG_GUEST_RIP, rip))
		return errno;
	if (emulation->injected)
		return 0;
	if (emulator->vector == VECTOR_PF &&
	    vm_set_register(emulation->vcpu, VM_REG_GUEST_CR2, emulator->fault_address))
		return errno;
	return vm_inject_exception(emulation->vcpu, emulator->vector, emulator->has_error_code,
				   emulator->error_code, 0) ?
		       errno :
		       0;
}

static int run_engine(struct emulation *emulation, uint64_t *registers)
{
	struct emulator *emulator = &emulation->emulator;
	int result;
	int turns = 0;

	emulator->gpr = registers;
	emulator->rip = registers[RIP_INDEX];
	emulator->rflags = registers[RFLAGS_INDEX];
	do {
		result = emulate_instruction(emulator);
	} while (result == -EBUSY && ++turns < MOST_TURNS);
	registers[RIP_INDEX] = emulator->rip;
	registers[RFLAGS_INDEX] = emulator->rflags;
	return result;
}

static int emulate_decoded(struct emulation *emulation, const uint64_t *before)
{
	uint64_t after[REGISTER_COUNT];
	int result;

	memcpy(after, before, sizeof(after));
	result = run_engine(emulation, after);
	if (result == 0 || result == EMULATE_REPEAT)
		return put_registers(emulation->vcpu, before, after);
	if (result == -EFAULT)
		return inject_exception(emulation, before[RIP_INDEX]);
	return emulation->error ? emulation->error : EINVAL;
}

int vmm_emulate_instruction(struct vcpu *vcpu, uint64_t gpa, struct vie *vie,
			    struct vm_guest_paging *paging, mem_region_read_t mrr,
			    mem_region_write_t mrw, void *mrarg)
{
	struct instruction insn;
	struct emulation emulation = {
		.emulator = {
			.ops = &ops,
			.insn = &insn,
			.cpu_mode = paging->cpu_mode,
			.wide_canonical = paging->paging_mode == PAGING_MODE_64_LA57,
		},
		.vcpu = vcpu,
		.paging = paging,
		.read = mrr,
		.write = mrw,
		.argument = mrarg,
	};
	uint64_t registers[REGISTER_COUNT];
	struct seg_desc code;
	int error;

	(void)gpa; /* the engine computes it, as it does all other operands */
	if (vm_get_register_set(vcpu, REGISTER_COUNT, register_names, registers) ||
	    vm_get_seg_desc(vcpu, VM_REG_GUEST_CS, &code))
		return errno;
	if (vie->decoded)
		registers[RIP_INDEX] -= vie->num_processed;
	if (vie->num_valid == 0) {
		uint64_t base = paging->cpu_mode == CPU_MODE_64BIT ? 0 : code.base;

		error = fetch_instruction(
			vcpu, paging,
			piece_wrap_linear(&emulation.emulator, base + registers[RIP_INDEX]), vie);
		if (error)
			return error == EFAULT ? 0 : error;
	}
	if (decode_bytes(paging->cpu_mode, SEG_DESC_DEF32(code.access), vie, &insn))
		return EINVAL;
	set_features(&emulation.emulator);
	return emulate_decoded(&emulation, registers);
}

int vie_update_register(struct vcpu *vcpu, enum vm_reg_name reg, uint64_t val, int size)
{
	uint64_t mask = size == 4 ? UINT64_MAX : vie_size2mask(size);
	uint64_t old = 0;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return EINVAL;
	if (mask != UINT64_MAX && vm_get_register(vcpu, (int)reg, &old))
		return errno;
	/* Writing 32 bits clears the upper half (APM vol. 1, 3.1.2.3). */
	if (size == 4)
		val = (uint32_t)val;
	return vm_set_register(vcpu, (int)reg, (old & ~mask) | (val & mask)) ? errno : 0;
}
