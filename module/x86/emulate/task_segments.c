// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loading the segment registers of a new task: which descriptors are fit, and what
 * is raised about others (SDM vol. 3, 7.3, table 7-1; APM vol. 2, 12.3).
 */
#include "x86/paging/linear.h"
#include "vm/regs.h"
#include "x86/emulate/task.h"

#define SELECTOR_TI	    4u
#define SELECTOR_RPL	    3u
#define DESCRIPTOR_ACCESSED (1ull << 40)
#define DESCRIPTOR_BUSY	    (2ull << 40)

#define VIRTUAL_8086_ACCESS                                                              \
	(SEG_ACCESS_WRITABLE | SEG_ACCESS_ACCESSED | SEG_ACCESS_S | SEG_ACCESS_PRESENT | \
	 SEG_ACCESS_DPL)

/* --- descriptors ---------------------------------------------------------- */

/* APM vol. 2, 4.7: the bits of a descriptor are scattered for old processors' sake. */
struct seg_desc task_parse_descriptor(uint64_t raw)
{
	struct seg_desc desc = {
		.base = (raw >> 16 & 0xffffff) | (raw >> 56 & 0xff) << 24,
		.limit = (uint32_t)((raw & 0xffff) | (raw >> 32 & 0xf0000)),
		.access = (uint32_t)(raw >> 40) & 0xf0ff,
	};

	if (desc.access & SEG_ACCESS_G)
		desc.limit = desc.limit << 12 | 0xfff;
	return desc;
}

/* Where a selector's descriptor is: -ENOENT outside its table. */
static int descriptor_address(struct vcpu *vcpu, uint16_t selector, uint64_t *address)
{
	int reg = selector & SELECTOR_TI ? VM_REG_GUEST_LDTR : VM_REG_GUEST_GDTR;
	uint32_t offset = selector & 0xfff8u;
	struct seg_desc table = { 0 };

	(void)backend->get_desc(vcpu, reg, &table);
	if (reg == VM_REG_GUEST_LDTR && SEG_DESC_UNUSABLE(table.access))
		return -ENOENT;
	if (offset + 7 > table.limit)
		return -ENOENT;
	*address = (uint32_t)(table.base + offset);
	return 0;
}

int task_read_descriptor(struct vcpu *vcpu, uint16_t selector, uint64_t *raw)
{
	uint64_t address;
	int error = descriptor_address(vcpu, selector, &address);

	return error ? error : linear_read(vcpu, address, raw, sizeof(*raw), WALK_SYSTEM);
}

static int write_descriptor(struct vcpu *vcpu, uint16_t selector, uint64_t raw)
{
	uint64_t address;
	int error = descriptor_address(vcpu, selector, &address);

	return error ? error : linear_write(vcpu, address, &raw, sizeof(raw), WALK_SYSTEM);
}

int task_probe_descriptor(struct vcpu *vcpu, uint16_t selector)
{
	uint64_t address;
	int error = descriptor_address(vcpu, selector, &address);

	return error ? error : linear_probe_write(vcpu, address, 8, WALK_SYSTEM);
}

int task_set_busy(struct vcpu *vcpu, uint16_t selector, bool busy)
{
	uint64_t raw;
	int error = task_read_descriptor(vcpu, selector, &raw);

	if (error)
		return error;
	raw = busy ? raw | DESCRIPTOR_BUSY : raw & ~DESCRIPTOR_BUSY;
	return write_descriptor(vcpu, selector, raw);
}

/* In an expand-down segment the limit is where the offsets begin. */
bool task_within_limit(const struct seg_desc *desc, uint32_t offset, unsigned int size)
{
	uint32_t last = offset + size - 1;
	uint32_t top = desc->access & SEG_ACCESS_DB ? 0xffffffff : 0xffff;

	if (last < offset)
		return false;
	if ((desc->access & (SEG_ACCESS_CODE | SEG_ACCESS_EXPAND_DOWN)) == SEG_ACCESS_EXPAND_DOWN)
		return offset > desc->limit && last <= top;
	return last <= desc->limit;
}

/* --- loading -------------------------------------------------------------- */

static int loader_fault(const struct task_loader *loader, uint8_t vector, uint16_t selector)
{
	vcpu_raise_error(loader->vcpu, vector, (selector & 0xfffcu) | loader->external);
	return -EFAULT;
}

static bool is_null(uint16_t selector)
{
	return !(selector & 0xfffc);
}

static int set_unusable(const struct task_loader *loader, int reg)
{
	struct seg_desc desc = { .access = SEG_ACCESS_UNUSABLE };

	(void)backend->set_desc(loader->vcpu, reg, &desc);
	return 0;
}

/* The descriptor; outside the table is #TS. */
static int read_for(const struct task_loader *loader, uint16_t selector, uint64_t *raw)
{
	int error = task_read_descriptor(loader->vcpu, selector, raw);

	return error == -ENOENT ? loader_fault(loader, VECTOR_TS, selector) : error;
}

/* Into the register, and marked accessed in memory. */
static int set_task_segment(const struct task_loader *loader, int reg, uint16_t selector,
			    uint64_t raw)
{
	struct seg_desc desc = task_parse_descriptor(raw | DESCRIPTOR_ACCESSED);
	int error = 0;

	if (!(raw & DESCRIPTOR_ACCESSED))
		error = write_descriptor(loader->vcpu, selector, raw | DESCRIPTOR_ACCESSED);
	if (!error)
		(void)backend->set_desc(loader->vcpu, reg, &desc);
	return error;
}

int task_load_ldt(const struct task_loader *loader, uint16_t selector)
{
	struct seg_desc desc;
	uint64_t raw;
	int error;

	(void)backend->set_reg(loader->vcpu, VM_REG_GUEST_LDTR, selector);
	(void)set_unusable(loader, VM_REG_GUEST_LDTR);
	if (is_null(selector))
		return 0;
	if (selector & SELECTOR_TI)
		return loader_fault(loader, VECTOR_TS, selector);
	error = read_for(loader, selector, &raw);
	if (error)
		return error;
	desc = task_parse_descriptor(raw);
	if ((desc.access & SEG_ACCESS_TYPE) != SEG_TYPE_LDT || !SEG_DESC_PRESENT(desc.access))
		return loader_fault(loader, VECTOR_TS, selector);
	(void)backend->set_desc(loader->vcpu, VM_REG_GUEST_LDTR, &desc);
	return 0;
}

int task_load_code(const struct task_loader *loader, uint16_t selector)
{
	struct seg_desc desc;
	unsigned int dpl;
	uint64_t raw;
	int error;

	if (is_null(selector))
		return loader_fault(loader, VECTOR_TS, selector);
	error = read_for(loader, selector, &raw);
	if (error)
		return error;
	desc = task_parse_descriptor(raw);
	dpl = SEG_DESC_DPL(desc.access);
	if (!(desc.access & SEG_ACCESS_S) || !(desc.access & SEG_ACCESS_CODE))
		return loader_fault(loader, VECTOR_TS, selector);
	if (desc.access & SEG_ACCESS_EXPAND_DOWN ? dpl > loader->cpl : dpl != loader->cpl)
		return loader_fault(loader, VECTOR_TS, selector);
	if (!SEG_DESC_PRESENT(desc.access))
		return loader_fault(loader, VECTOR_NP, selector);
	return set_task_segment(loader, VM_REG_GUEST_CS, selector, raw);
}

static bool is_writable_data(const struct seg_desc *desc)
{
	uint32_t mask = SEG_ACCESS_S | SEG_ACCESS_CODE | SEG_ACCESS_WRITABLE;

	return (desc->access & mask) == (SEG_ACCESS_S | SEG_ACCESS_WRITABLE);
}

int task_load_stack(const struct task_loader *loader, uint16_t selector)
{
	struct seg_desc desc;
	uint64_t raw;
	int error;

	if (is_null(selector) || (selector & SELECTOR_RPL) != loader->cpl)
		return loader_fault(loader, VECTOR_TS, selector);
	error = read_for(loader, selector, &raw);
	if (error)
		return error;
	desc = task_parse_descriptor(raw);
	if (!is_writable_data(&desc) || SEG_DESC_DPL(desc.access) != loader->cpl)
		return loader_fault(loader, VECTOR_TS, selector);
	if (!SEG_DESC_PRESENT(desc.access))
		return loader_fault(loader, VECTOR_SS, selector);
	return set_task_segment(loader, VM_REG_GUEST_SS, selector, raw);
}

/* Data, or code that may be read; conforming code at any privilege. */
static bool is_fit_for_data(const struct task_loader *loader, const struct seg_desc *desc,
			    uint16_t selector)
{
	uint32_t conforming = SEG_ACCESS_CODE | SEG_ACCESS_EXPAND_DOWN;
	unsigned int dpl = SEG_DESC_DPL(desc->access);

	if (!(desc->access & SEG_ACCESS_S))
		return false;
	if ((desc->access & SEG_ACCESS_CODE) && !(desc->access & SEG_ACCESS_WRITABLE))
		return false;
	if ((desc->access & conforming) == conforming)
		return true;
	return dpl >= loader->cpl && dpl >= (selector & SELECTOR_RPL);
}

int task_load_data(const struct task_loader *loader, int reg, uint16_t selector)
{
	struct seg_desc desc;
	uint64_t raw;
	int error;

	if (is_null(selector))
		return set_unusable(loader, reg);
	error = read_for(loader, selector, &raw);
	if (error)
		return error;
	desc = task_parse_descriptor(raw);
	if (!is_fit_for_data(loader, &desc, selector))
		return loader_fault(loader, VECTOR_TS, selector);
	if (!SEG_DESC_PRESENT(desc.access))
		return loader_fault(loader, VECTOR_NP, selector);
	return set_task_segment(loader, reg, selector, raw);
}

void task_load_virtual(const struct task_loader *loader, int reg, uint16_t selector)
{
	struct seg_desc desc = {
		.base = (uint64_t)selector << 4,
		.limit = 0xffff,
		.access = VIRTUAL_8086_ACCESS,
	};

	(void)backend->set_desc(loader->vcpu, reg, &desc);
}
