// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC: life, modes, priorities, and the way of an interrupt through
 * IRR and ISR to its EOI.
 */
#include "dev/ioapic.h"
#include "dev/lapic_state.h"

#define TPR_CLASS(tpr) ((tpr) >> 4)
#define BASE_ADDRESS   0x000ffffffffff000ull
#define ALL_WORDS      ((1u << VECTOR_WORDS) - 1)

/* --- life ----------------------------------------------------------------- */

void lapic_stop(struct vcpu *vcpu)
{
	os_timer_cancel(&vcpu->lapic->timer);
}

void lapic_destroy(struct vcpu *vcpu)
{
	struct lapic *lapic = vcpu->lapic;

	if (!lapic)
		return;
	os_timer_cancel(&lapic->timer);
	vcpu->lapic = NULL;
	os_free(lapic->ipi_destinations);
	os_page_free(lapic->page);
	os_free(lapic);
}

/* LDR of an APIC in x2APIC mode: cluster and place in it (SDM vol. 3, 10.12.10.2). */
static uint32_t lapic_x2apic_ldr(uint32_t id)
{
	return id >> 4 << 16 | 1u << (id & 15);
}

static void lapic_update_mmio_base(struct lapic *lapic)
{
	bool mapped = (lapic->base & LAPIC_BASE_ENABLE) && !lapic_is_x2apic(lapic->base);

	lapic->mmio_base = mapped ? lapic->base & BASE_ADDRESS : ~0ull;
}

static void lapic_forget_interrupts(struct lapic *lapic)
{
	__atomic_store_n(&lapic->posted, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&lapic->esr_pending, 0, __ATOMIC_SEQ_CST);
	for (unsigned int word = 0; word < VECTOR_WORDS; word++) {
		__atomic_store_n(&lapic->posted_edge[word], 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&lapic->posted_level[word], 0, __ATOMIC_SEQ_CST);
		lapic_store(lapic_register(lapic, PAGE_IRR)[word * MAP_STRIDE], 0);
		lapic_register(lapic, PAGE_ISR)[word * MAP_STRIDE] = 0;
		lapic_register(lapic, PAGE_TMR)[word * MAP_STRIDE] = 0;
	}
	lapic->requested = 0;
}

/* Every register but ID, base and mode to its state after RESET. */
static void lapic_reset_registers(struct lapic *lapic)
{
	lapic_forget_interrupts(lapic);
	lapic_timer_reset(lapic);
	lapic_store(lapic->svr, SVR_RESET);
	lapic_store(lapic->dfr, DFR_FLAT);
	lapic_store(lapic->ldr, lapic_is_x2apic(lapic->base) ? lapic_x2apic_ldr(lapic->id) : 0);
	for (int i = 0; i < LAPIC_LVT_COUNT; i++)
		lapic_store(lapic->lvt[i], LVT_MASKED);
	lapic->esr = 0;
	lapic->icr = 0;
	*lapic_register(lapic, PAGE_ICR_HIGH) = 0;
	lapic_store(lapic->class, 0);
}

/* State after RESET but for the TPR, of which the back end has a part. */
static void lapic_power_on(struct lapic *lapic)
{
	bool boot = lapic->vcpu->id == 0;

	lapic_store(lapic->base,
		    LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE | (boot ? LAPIC_BASE_BSP : 0));
	lapic_reset_registers(lapic);
	lapic_update_mmio_base(lapic);
	if (boot)
		lapic_store(lapic->lvt[LAPIC_LVT_LINT0], (uint32_t)LAPIC_EXTINT << 8);
}

/* Who delivers interrupts may be another now: what is pending is looked at anew. */
static void lapic_tell_backend(struct vcpu *vcpu)
{
	if (!backend->apic.mode_changed)
		return;
	backend->apic.mode_changed(vcpu);
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

/* The registers and the mode may be others now. */
static void lapic_mode_changed(struct vcpu *vcpu)
{
	lapic_update_mmio_base(vcpu->lapic);
	lapic_show_registers(vcpu->lapic);
	lapic_tell_backend(vcpu);
}

int lapic_create(struct vcpu *vcpu)
{
	size_t words = (vcpu->vm->max_vcpus + 63) / 64;
	struct lapic *lapic = os_alloc(sizeof(*lapic));

	if (!lapic)
		return -ENOMEM;
	lapic->ipi_destinations = os_alloc(words * sizeof(uint64_t));
	lapic->page = os_page_alloc();
	if (!lapic->ipi_destinations || !lapic->page) {
		os_page_free(lapic->page);
		os_free(lapic->ipi_destinations);
		os_free(lapic);
		return -ENOMEM;
	}
	lapic->vcpu = vcpu;
	lapic->id = vm_apic_id(vcpu->vm, (uint32_t)vcpu->id);
	lapic_timer_init(lapic);
	lapic_power_on(lapic);
	vcpu->lapic = lapic;
	return 0;
}

/* In x2APIC mode the LDR follows from the ID. */
void lapic_topology_changed(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		struct lapic *lapic = vcpu->lapic;

		lapic_store(lapic->id, vm_apic_id(vm, (uint32_t)vcpu->id));
		if (lapic_is_x2apic(lapic->base))
			lapic_store(lapic->ldr, lapic_x2apic_ldr(lapic->id));
		lapic_show_registers(lapic);
	}
}

void lapic_reset(struct vcpu *vcpu, bool init)
{
	if (init)
		lapic_reset_registers(vcpu->lapic);
	else
		lapic_power_on(vcpu->lapic);
	lapic_set_tpr(vcpu, 0);
	lapic_mode_changed(vcpu);
}

/* --- modes ---------------------------------------------------------------- */

uint32_t lapic_id(struct vcpu *vcpu)
{
	return vcpu->lapic->id;
}

enum x2apic_state lapic_get_x2apic_state(struct vcpu *vcpu)
{
	return vcpu->lapic->x2apic_allowed ? X2APIC_ENABLED : X2APIC_DISABLED;
}

int lapic_set_x2apic_state(struct vcpu *vcpu, enum x2apic_state state)
{
	struct lapic *lapic = vcpu->lapic;

	if (state != X2APIC_ENABLED && state != X2APIC_DISABLED)
		return -EINVAL;
	lapic->x2apic_allowed = state == X2APIC_ENABLED;
	/* As firmware would: the guest begins in x2APIC mode. */
	if (lapic->x2apic_allowed && (lapic->base & LAPIC_BASE_ENABLE))
		return lapic_set_base(vcpu, lapic->base | LAPIC_BASE_X2APIC);
	if (!lapic->x2apic_allowed && lapic_is_x2apic(lapic->base)) {
		lapic_store(lapic->base, lapic->base & ~LAPIC_BASE_X2APIC);
		lapic_reset_registers(lapic);
		lapic_set_tpr(vcpu, 0);
		lapic_mode_changed(vcpu);
	}
	return 0;
}

uint64_t lapic_get_base(struct vcpu *vcpu)
{
	return vcpu->lapic->base;
}

/*
 * Disabled, xAPIC and x2APIC are the modes; x2APIC is entered from xAPIC only and
 * left to disabled only (SDM vol. 3, 10.12.5).
 */
static bool lapic_mode_change_allowed(const struct lapic *lapic, uint64_t value)
{
	bool enable = value & LAPIC_BASE_ENABLE;
	bool was_enabled = lapic->base & LAPIC_BASE_ENABLE;
	bool was_x2apic = lapic_is_x2apic(lapic->base);

	if (!lapic_is_x2apic(value))
		return !enable || !was_x2apic;
	return enable && lapic->x2apic_allowed && was_enabled;
}

int lapic_set_base(struct vcpu *vcpu, uint64_t value)
{
	struct lapic *lapic = vcpu->lapic;
	uint64_t changed = lapic->base ^ value;

	if (value & ~(BASE_ADDRESS | LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC | LAPIC_BASE_BSP))
		return -EINVAL;
	if (!lapic_mode_change_allowed(lapic, value))
		return -EINVAL;
	lapic_store(lapic->base, value);
	if (changed & LAPIC_BASE_ENABLE) {
		lapic_reset_registers(lapic);
		lapic_set_tpr(vcpu, 0);
	} else if (changed & LAPIC_BASE_X2APIC) {
		lapic_store(lapic->ldr, lapic_x2apic_ldr(lapic->id));
	}
	lapic_mode_changed(vcpu);
	/* Without an APIC the 8259s' output goes straight to the processor. */
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return 0;
}

uint64_t lapic_mmio_base(struct vcpu *vcpu)
{
	return vcpu->lapic->mmio_base;
}

/* Disabling by software masks every local interrupt (SDM vol. 3, 10.4.7.2). */
void lapic_set_svr(struct lapic *lapic, uint32_t value)
{
	bool changed = (lapic->svr ^ value) & SVR_ENABLE;

	lapic_store(lapic->svr, value);
	if (changed)
		lapic_tell_backend(lapic->vcpu);
	if (value & SVR_ENABLE)
		return;
	for (int i = 0; i < LAPIC_LVT_COUNT; i++)
		lapic_store(lapic->lvt[i], lapic->lvt[i] | LVT_MASKED);
	lapic_timer_update(lapic);
}

/* --- priorities ------------------------------------------------------------ */

/*
 * The back end holds CR8; the guest moves it without an exit. MOV CR8 clears the TPR's
 * low bits (SDM vol. 3, 10.8.6), which shows when CR8 is not what the TPR has. Where the
 * back end keeps CR8 in the page itself, the processor has seen to that.
 */
uint8_t lapic_get_tpr(struct vcpu *vcpu)
{
	uint8_t class = (uint8_t)(vcpu_reg(vcpu, VM_REG_GUEST_TPR) & 0xf);
	uint8_t tpr = (uint8_t)*lapic_register(vcpu->lapic, PAGE_TPR);

	return class == TPR_CLASS(tpr) ? tpr : (uint8_t)(class << 4);
}

void lapic_set_tpr(struct vcpu *vcpu, uint8_t tpr)
{
	(void)backend->set_reg(vcpu, VM_REG_GUEST_TPR, TPR_CLASS(tpr));
	*lapic_register(vcpu->lapic, PAGE_TPR) = tpr;
	if (lapic_has_work(vcpu))
		vcpu_request(vcpu, VCPU_REQ_EVENT);
}

/* SDM vol. 3, 10.8.3.1. */
uint8_t lapic_ppr(struct lapic *lapic)
{
	int in_service = vector_highest(lapic, PAGE_ISR, ALL_WORDS);
	uint8_t tpr = lapic_get_tpr(lapic->vcpu);
	uint8_t ppr = tpr;

	if (in_service >= 0 && TPR_CLASS(in_service) > TPR_CLASS(tpr))
		ppr = in_service & 0xf0;
	lapic_store(lapic->class, TPR_CLASS(ppr));
	return ppr;
}

/* --- requests ------------------------------------------------------------- */

static void lapic_set_request(struct lapic *lapic, unsigned int word, uint32_t bits)
{
	uint32_t *irr = &lapic_register(lapic, PAGE_IRR)[word * MAP_STRIDE];

	lapic_store(*irr, *irr | bits);
	if (*irr)
		lapic->requested |= 1u << word;
}

enum irq_outcome lapic_set_irr(struct lapic *lapic, uint8_t vector)
{
	uint32_t bit = vector_bit(vector);
	bool pending = *vector_word(lapic, PAGE_IRR, vector) & bit;

	if (!lapic_accepts(lapic))
		return IRQ_IGNORED;
	if (vector < VECTOR_FIRST) {
		lapic_error(lapic, ESR_RECEIVE_ILLEGAL);
		return IRQ_IGNORED;
	}
	*vector_word(lapic, PAGE_TMR, vector) &= ~bit;
	lapic_set_request(lapic, vector / 32, bit);
	vcpu_request(lapic->vcpu, VCPU_REQ_EVENT);
	return pending ? IRQ_COALESCED : IRQ_DELIVERED;
}

/* Only the owner can raise the interrupt: leave that to lapic_absorb_words(). */
void lapic_error(struct lapic *lapic, uint32_t bit)
{
	uint32_t old = __atomic_fetch_or(&lapic->esr_pending, bit, __ATOMIC_SEQ_CST);

	if (old & bit)
		return;
	__atomic_fetch_or(&lapic->posted, POSTED_ERROR, __ATOMIC_SEQ_CST);
	vcpu_request(lapic->vcpu, VCPU_REQ_EVENT);
}

/* A vector that is itself illegal would only be the next error. */
static void lapic_raise_error_interrupt(struct lapic *lapic)
{
	uint32_t lvt = lapic->lvt[LAPIC_LVT_ERROR];

	if (!(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= VECTOR_FIRST)
		(void)lapic_set_irr(lapic, lvt & LVT_VECTOR);
}

/*
 * Take what others have posted into IRR and TMR. The summary is cleared first: a
 * bit set behind our back sets it again.
 */
static void lapic_absorb_words(struct lapic *lapic)
{
	uint32_t posted = __atomic_exchange_n(&lapic->posted, 0, __ATOMIC_SEQ_CST);

	for (unsigned int word = 0; word < VECTOR_WORDS; word++) {
		uint32_t *tmr = &lapic_register(lapic, PAGE_TMR)[word * MAP_STRIDE];
		uint32_t edge, level;

		if (!(posted & 1u << word))
			continue;
		edge = __atomic_exchange_n(&lapic->posted_edge[word], 0, __ATOMIC_SEQ_CST);
		level = __atomic_exchange_n(&lapic->posted_level[word], 0, __ATOMIC_SEQ_CST);
		*tmr = (*tmr & ~edge) | level;
		lapic_set_request(lapic, word, edge | level);
	}
	if (posted & POSTED_ERROR)
		lapic_raise_error_interrupt(lapic);
}

static inline void lapic_absorb_posted(struct lapic *lapic)
{
	if (unlikely(__atomic_load_n(&lapic->posted, __ATOMIC_ACQUIRE)))
		lapic_absorb_words(lapic);
}

/* Virtual interrupt delivery may have requested more in the page (a self-IPI). */
static inline uint32_t lapic_requested_words(const struct lapic *lapic)
{
	return lapic->shared ? ALL_WORDS : lapic->requested;
}

bool lapic_has_work(struct vcpu *vcpu)
{
	struct lapic *lapic = vcpu->lapic;

	lapic_absorb_posted(lapic);
	return lapic_requested_words(lapic) && (lapic->base & LAPIC_BASE_ENABLE);
}

int lapic_highest_request(struct vcpu *vcpu)
{
	struct lapic *lapic = vcpu->lapic;

	if (!lapic_has_work(vcpu))
		return -1;
	return vector_highest(lapic, PAGE_IRR, lapic_requested_words(lapic));
}

int lapic_pending(struct vcpu *vcpu)
{
	struct lapic *lapic = vcpu->lapic;
	int vector;

	lapic_absorb_posted(lapic);
	if (likely(!lapic_requested_words(lapic)))
		return -1;
	if (!(lapic->base & LAPIC_BASE_ENABLE))
		return -1;
	vector = vector_highest(lapic, PAGE_IRR, lapic_requested_words(lapic));
	if (vector < 0)
		return -1;
	return TPR_CLASS(vector) > TPR_CLASS(lapic_ppr(lapic)) ? vector : -1;
}

int lapic_blocked_by_tpr(struct vcpu *vcpu)
{
	struct lapic *lapic = vcpu->lapic;
	int vector = lapic_highest_request(vcpu);
	int in_service;

	if (likely(vector < 0))
		return -1;
	in_service = vector_highest(lapic, PAGE_ISR, ALL_WORDS);
	if (in_service >= 0 && TPR_CLASS(in_service) >= TPR_CLASS(vector))
		return -1;
	return TPR_CLASS(vector) <= TPR_CLASS(lapic_get_tpr(vcpu)) ? vector : -1;
}

void lapic_accept(struct vcpu *vcpu, uint8_t vector)
{
	struct lapic *lapic = vcpu->lapic;
	uint32_t *irr = vector_word(lapic, PAGE_IRR, vector);

	lapic_store(*irr, *irr & ~vector_bit(vector));
	if (!*irr)
		lapic->requested &= ~(1u << vector / 32);
	*vector_word(lapic, PAGE_ISR, vector) |= vector_bit(vector);
}

/* The I/O APIC is told of a level-triggered vector's EOI, unless the guest suppresses that. */
static void lapic_tell_ioapic(struct lapic *lapic, uint8_t vector)
{
	bool level = *vector_word(lapic, PAGE_TMR, vector) & vector_bit(vector);

	if (level && !(lapic->svr & SVR_SUPPRESS_EOI))
		ioapic_eoi(lapic->vcpu->vm, vector);
}

void lapic_eoi(struct lapic *lapic)
{
	int vector = vector_highest(lapic, PAGE_ISR, ALL_WORDS);

	if (vector < 0)
		return;
	*vector_word(lapic, PAGE_ISR, (uint8_t)vector) &= ~vector_bit((uint8_t)vector);
	lapic_tell_ioapic(lapic, (uint8_t)vector);
	if (lapic_has_work(lapic->vcpu))
		vcpu_request(lapic->vcpu, VCPU_REQ_EVENT);
}

/* --- virtual interrupt delivery by the processor ---------------------------- */

uint8_t *lapic_page(struct vcpu *vcpu, bool shared)
{
	vcpu->lapic->shared = shared;
	lapic_show_registers(vcpu->lapic);
	return vcpu->lapic->page;
}

bool lapic_is_enabled(struct vcpu *vcpu)
{
	return lapic_accepts(vcpu->lapic);
}

uint8_t lapic_in_service(struct vcpu *vcpu)
{
	int vector = vector_highest(vcpu->lapic, PAGE_ISR, ALL_WORDS);

	return vector < 0 ? 0 : (uint8_t)vector;
}

uint64_t lapic_level_vectors(struct vcpu *vcpu, unsigned int i)
{
	const uint32_t *tmr = lapic_register(vcpu->lapic, PAGE_TMR) + (size_t)i * 2 * MAP_STRIDE;

	return (uint64_t)tmr[MAP_STRIDE] << 32 | tmr[0];
}

void lapic_virtual_eoi(struct vcpu *vcpu, uint8_t vector)
{
	lapic_tell_ioapic(vcpu->lapic, vector);
}
