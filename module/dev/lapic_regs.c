// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC's registers: one table by register number, which is the offset in
 * the memory-mapped page divided by 16 and the MSR number less 0x800 (SDM vol. 3,
 * tables 10-1 and 10-6). The two interfaces differ in what they do about
 * registers and bits that do not exist.
 */
#include "dev/lapic_state.h"
#include "dev/pic.h"

#define REGISTER_COUNT	       0x40
#define REGISTER_EOI	       0x0b
#define REGISTER_PPR	       0x0a
#define REGISTER_SVR	       0x0f
#define REGISTER_IRR_LAST      0x27
#define REGISTER_ICR	       0x30
#define REGISTER_LVT_TIMER     0x32
#define REGISTER_CURRENT_COUNT 0x39

/* Bits of entries that only the APIC writes: delivery status and remote IRR. */
#define LVT_READ_ONLY 0x5000u

/* Version 0x14 (integrated), the last LVT entry, EOI-broadcast suppression. */
#define VERSION (0x14u | (LAPIC_LVT_COUNT - 1) << 16 | 1u << 24)

#define IN_XAPIC  1
#define IN_X2APIC 2
#define IN_BOTH	  3

/*
 * A register. No 'read': write-only, reads as 0 in memory, #GP as an MSR. No 'write':
 * read-only, likewise. 'writable' are the bits that are not reserved. Handlers return
 * 0, -EINVAL (#GP; memory-mapped: ignored) or 1 (an exit to userspace).
 */
struct lapic_register {
	uint32_t (*read)(struct lapic *lapic, unsigned int number);
	int (*write)(struct lapic *lapic, unsigned int number, uint32_t value);
	uint32_t writable;
	uint8_t modes;
};

static uint32_t lapic_read_id(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic_is_x2apic(lapic->base) ? lapic->id : lapic->id << 24;
}

static uint32_t lapic_read_version(struct lapic *lapic, unsigned int number)
{
	(void)lapic;
	(void)number;
	return VERSION;
}

static uint32_t lapic_read_tpr(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic_get_tpr(lapic->vcpu);
}

static int lapic_write_tpr(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic_set_tpr(lapic->vcpu, (uint8_t)value);
	return 0;
}

/* Arbitration priority and remote read: of processors long gone. */
static uint32_t lapic_read_zero(struct lapic *lapic, unsigned int number)
{
	(void)lapic;
	(void)number;
	return 0;
}

static uint32_t lapic_read_ppr(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic_ppr(lapic);
}

static int lapic_write_eoi(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	(void)value;
	lapic_eoi(lapic);
	return 0;
}

static uint32_t lapic_read_ldr(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->ldr;
}

static int lapic_write_ldr(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic_store(lapic->ldr, value);
	return 0;
}

static uint32_t lapic_read_dfr(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->dfr;
}

/* The low bits read as ones. */
static int lapic_write_dfr(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic_store(lapic->dfr, value | 0x0fffffffu);
	return 0;
}

static uint32_t lapic_read_svr(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->svr;
}

static int lapic_write_svr(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic_set_svr(lapic, value);
	return 0;
}

/* One that is where the page has it. */
static uint32_t lapic_read_page(struct lapic *lapic, unsigned int number)
{
	return *lapic_register(lapic, number << 4);
}

static uint32_t lapic_read_irr(struct lapic *lapic, unsigned int number)
{
	(void)lapic_has_work(lapic->vcpu);
	return lapic_read_page(lapic, number);
}

static uint32_t lapic_read_esr(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->esr;
}

/* A write latches what has gone wrong since the last one (SDM vol. 3, 10.5.3). */
static int lapic_write_esr(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	(void)value;
	lapic->esr = __atomic_exchange_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST);
	return 0;
}

static uint32_t lapic_read_icr_low(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->icr;
}

static int lapic_write_icr_low(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic->icr = value;
	return lapic_send_ipi(lapic);
}

static int lapic_write_icr_high(struct lapic *lapic, unsigned int number, uint32_t value)
{
	*lapic_register(lapic, number << 4) = value;
	return 0;
}

static int lapic_write_self_ipi(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	if (value < VECTOR_FIRST)
		lapic_error(lapic, ESR_SEND_ILLEGAL);
	else
		(void)lapic_set_irr(lapic, (uint8_t)value);
	return 0;
}

/* Which entry of the table a register from 0x32 to 0x37 is. */
static enum lapic_lvt lapic_lvt_index(unsigned int number)
{
	static const uint8_t index[] = {
		LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PERFORMANCE,
		LAPIC_LVT_LINT0, LAPIC_LVT_LINT1,   LAPIC_LVT_ERROR,
	};

	return number < 0x32 ? LAPIC_LVT_CMCI : index[number - 0x32];
}

static uint32_t lapic_read_lvt(struct lapic *lapic, unsigned int number)
{
	return lapic->lvt[lapic_lvt_index(number)];
}

static int lapic_write_lvt(struct lapic *lapic, unsigned int number, uint32_t value)
{
	enum lapic_lvt index = lapic_lvt_index(number);

	if (!(lapic->svr & SVR_ENABLE))
		value |= LVT_MASKED;
	if (index == LAPIC_LVT_TIMER)
		lapic_timer_set_lvt(lapic, value);
	else
		lapic_store(lapic->lvt[index], value);
	/* The 8259s' output may have been high for long: unmasked it counts. */
	if (index == LAPIC_LVT_LINT0 && lapic_extint_allowed(lapic->vcpu) &&
	    pic_pending(lapic->vcpu->vm))
		vcpu_request(lapic->vcpu, VCPU_REQ_EVENT);
	return 0;
}

static uint32_t lapic_read_initial_count(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->initial_count;
}

static int lapic_write_initial_count(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic_timer_set_count(lapic, value);
	return 0;
}

static uint32_t lapic_read_current_count(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic_timer_count(lapic);
}

static uint32_t lapic_read_divide(struct lapic *lapic, unsigned int number)
{
	(void)number;
	return lapic->divide;
}

static int lapic_write_divide(struct lapic *lapic, unsigned int number, uint32_t value)
{
	(void)number;
	lapic_timer_set_divide(lapic, value);
	return 0;
}

static const struct lapic_register registers[REGISTER_COUNT] = {
	[0x02] = { lapic_read_id, NULL, 0, IN_BOTH },
	[0x03] = { lapic_read_version, NULL, 0, IN_BOTH },
	[0x08] = { lapic_read_tpr, lapic_write_tpr, 0xff, IN_BOTH },
	[0x09] = { lapic_read_zero, NULL, 0, IN_XAPIC },
	[0x0a] = { lapic_read_ppr, NULL, 0, IN_BOTH },
	[0x0b] = { NULL, lapic_write_eoi, 0, IN_BOTH },
	[0x0c] = { lapic_read_zero, NULL, 0, IN_XAPIC },
	[0x0d] = { lapic_read_ldr, NULL, 0, IN_X2APIC }, /* and lapic_find_register() */
	[0x0e] = { lapic_read_dfr, lapic_write_dfr, 0xf0000000, IN_XAPIC },
	[0x0f] = { lapic_read_svr, lapic_write_svr, 0x13ff, IN_BOTH },
	[0x10 ... 0x17] = { lapic_read_page, NULL, 0, IN_BOTH },
	[0x18 ... 0x1f] = { lapic_read_page, NULL, 0, IN_BOTH },
	[0x20 ... 0x27] = { lapic_read_irr, NULL, 0, IN_BOTH },
	[0x28] = { lapic_read_esr, lapic_write_esr, 0, IN_BOTH },
	[0x2f] = { lapic_read_lvt, lapic_write_lvt, 0x107ff, IN_BOTH },
	[0x30] = { lapic_read_icr_low, lapic_write_icr_low, 0xccfff, IN_BOTH },
	[0x31] = { lapic_read_page, lapic_write_icr_high, 0xff000000, IN_XAPIC },
	[0x32] = { lapic_read_lvt, lapic_write_lvt, 0x700ff, IN_BOTH },
	[0x33 ... 0x34] = { lapic_read_lvt, lapic_write_lvt, 0x107ff, IN_BOTH },
	[0x35 ... 0x36] = { lapic_read_lvt, lapic_write_lvt, 0x1a7ff, IN_BOTH },
	[0x37] = { lapic_read_lvt, lapic_write_lvt, 0x100ff, IN_BOTH },
	[0x38] = { lapic_read_initial_count, lapic_write_initial_count, 0xffffffff, IN_BOTH },
	[0x39] = { lapic_read_current_count, NULL, 0, IN_BOTH },
	[0x3e] = { lapic_read_divide, lapic_write_divide, 0xb, IN_BOTH },
	[0x3f] = { NULL, lapic_write_self_ipi, 0xff, IN_X2APIC },
};

/* LDR is the one register that can be written in one mode only. */
static const struct lapic_register xapic_ldr = { lapic_read_ldr, lapic_write_ldr, 0xff000000,
						 IN_XAPIC };

/* NULL: no such register in that mode. */
static const struct lapic_register *lapic_find_register(unsigned int number, unsigned int mode)
{
	const struct lapic_register *reg;

	if (number >= REGISTER_COUNT)
		return NULL;
	if (number == 0x0d && mode == IN_XAPIC)
		return &xapic_ldr;
	reg = &registers[number];
	return reg->modes & mode ? reg : NULL;
}

/* Registers that live in the page anyway, and those that change with time: not copied there. */
static bool lapic_is_elsewhere(unsigned int number)
{
	return number == PAGE_TPR >> 4 || number == PAGE_ICR_HIGH >> 4 || number == REGISTER_PPR ||
	       number == REGISTER_CURRENT_COUNT ||
	       (number >= PAGE_ISR >> 4 && number <= REGISTER_IRR_LAST);
}

static void lapic_show_register(struct lapic *lapic, unsigned int number)
{
	unsigned int mode = lapic_is_x2apic(lapic->base) ? IN_X2APIC : IN_XAPIC;
	const struct lapic_register *reg = lapic_find_register(number, mode);

	if (reg && reg->read && !lapic_is_elsewhere(number))
		*lapic_register(lapic, number << 4) = reg->read(lapic, number);
}

/* Carry out a guest's write; SVR and the timer's mode change other registers as well. */
static int lapic_write_register(struct lapic *lapic, const struct lapic_register *reg,
				unsigned int number, uint32_t value)
{
	int result = reg->write(lapic, number, value & reg->writable);

	if (likely(!lapic->shared))
		return result;
	if (number == REGISTER_SVR || number == REGISTER_LVT_TIMER)
		lapic_show_registers(lapic);
	else
		lapic_show_register(lapic, number);
	return result;
}

/* --- in memory --------------------------------------------------------------- */

int lapic_mmio_read(struct vcpu *vcpu, uint32_t offset, unsigned int size, uint64_t *value)
{
	const struct lapic_register *reg = lapic_find_register(offset >> 4, IN_XAPIC);
	unsigned int byte = offset & 15;
	uint64_t contents = 0;

	if (!reg)
		lapic_error(vcpu->lapic, ESR_ILLEGAL_REGISTER);
	else if (reg->read && byte < 4)
		contents = (uint64_t)reg->read(vcpu->lapic, offset >> 4) >> byte * 8;
	if (size < 8)
		contents &= BIT_ULL(size * 8) - 1;
	*value = contents;
	return 0;
}

int lapic_mmio_write(struct vcpu *vcpu, uint32_t offset, unsigned int size, uint64_t value)
{
	const struct lapic_register *reg = lapic_find_register(offset >> 4, IN_XAPIC);
	int error;

	if (!reg) {
		lapic_error(vcpu->lapic, ESR_ILLEGAL_REGISTER);
		return 0;
	}
	if (!reg->write || offset & 15 || size < 4)
		return 0;
	error = lapic_write_register(vcpu->lapic, reg, offset >> 4, (uint32_t)value);
	return error > 0 ? error : 0;
}

/* --- as MSRs ----------------------------------------------------------------- */

int lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct lapic *lapic = vcpu->lapic;
	unsigned int number = msr - LAPIC_MSR_FIRST;
	const struct lapic_register *reg = lapic_find_register(number, IN_X2APIC);

	if (!lapic_is_x2apic(lapic->base) || !reg || !reg->read)
		return -EINVAL;
	*value = reg->read(lapic, number);
	if (number == REGISTER_ICR)
		*value |= (uint64_t)*lapic_register(lapic, PAGE_ICR_HIGH) << 32;
	return 0;
}

int lapic_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct lapic *lapic = vcpu->lapic;
	unsigned int number = msr - LAPIC_MSR_FIRST;
	const struct lapic_register *reg = lapic_find_register(number, IN_X2APIC);
	uint32_t ignored = 0;

	if (!lapic_is_x2apic(lapic->base) || !reg || !reg->write)
		return -EINVAL;
	if (number >= 0x2f && number <= 0x37 && number != REGISTER_ICR)
		ignored = LVT_READ_ONLY;
	if ((uint32_t)value & ~(reg->writable | ignored))
		return -EINVAL;
	if (number == REGISTER_ICR)
		*lapic_register(lapic, PAGE_ICR_HIGH) = (uint32_t)(value >> 32);
	else if (value >> 32)
		return -EINVAL;
	return lapic_write_register(lapic, reg, number, (uint32_t)value);
}

/* --- in a page that the processor shares --------------------------------------- */

/* ICR's high half is written without an exit (SDM vol. 3, 29.4.3.2): nothing follows from it. */
int lapic_virtual_write(struct vcpu *vcpu, uint32_t offset)
{
	struct lapic *lapic = vcpu->lapic;
	unsigned int mode = lapic_is_x2apic(lapic->base) ? IN_X2APIC : IN_XAPIC;
	const struct lapic_register *reg = lapic_find_register(offset >> 4, mode);
	uint32_t value = *lapic_register(lapic, offset & 0xff0);
	int error;

	if (!reg || !reg->write)
		return 0;
	error = lapic_write_register(lapic, reg, offset >> 4, value);
	return error > 0 ? error : 0;
}

void lapic_show_registers(struct lapic *lapic)
{
	if (!lapic->shared)
		return;
	for (unsigned int number = 0; number < REGISTER_COUNT; number++)
		lapic_show_register(lapic, number);
}
