// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages between interrupt controllers: routing and delivery.
 * Everything here but lapic_send_ipi() runs in any thread and context.
 */
#include "dev/ioapic.h"
#include "dev/lapic_state.h"

/* ICR's low half (SDM vol. 3, 10.6.1). */
#define ICR_LOGICAL	   0x800u
#define ICR_ASSERT	   0x4000u
#define ICR_LEVEL	   0x8000u
#define ICR_DELIVERY	   0x700u
#define ICR_STATUS	   0x1000u
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

/* Message address and data of an MSI (SDM vol. 3, 10.11). */
#define MSI_WINDOW	     0xfee00000ull
#define MSI_ADDRESS_LOGICAL  0x4u
#define MSI_ADDRESS_REDIRECT 0x8u
#define MSI_DATA_ASSERT	     0x4000u
#define MSI_DATA_LEVEL	     0x8000u

/* --- delivery to one vCPU ---------------------------------------------------- */

static bool lapic_is_requested(struct lapic *lapic, uint8_t vector)
{
	return lapic_load(*vector_word(lapic, PAGE_IRR, vector)) & vector_bit(vector);
}

enum irq_outcome lapic_post(struct vcpu *vcpu, uint8_t vector, bool level)
{
	struct lapic *lapic = vcpu->lapic;
	unsigned int word = vector / 32;
	uint32_t bit = vector_bit(vector);
	uint32_t *map, old;
	bool pending;

	if (!lapic || !lapic_accepts(lapic))
		return IRQ_IGNORED;
	if (vector < VECTOR_FIRST) {
		lapic_error(lapic, ESR_RECEIVE_ILLEGAL);
		return IRQ_IGNORED;
	}
	pending = lapic_is_requested(lapic, vector);
	map = level ? lapic->posted_level : lapic->posted_edge;
	old = __atomic_fetch_or(&map[word], bit, __ATOMIC_SEQ_CST);
	/* Whoever set it is about to tell the owner, or has. */
	if (old & bit)
		return IRQ_COALESCED;
	__atomic_fetch_or(&lapic->posted, 1u << word, __ATOMIC_SEQ_CST);
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return pending ? IRQ_COALESCED : IRQ_DELIVERED;
}

/* An ExtINT is taken if the pair of 8259s still has something when the owner looks. */
static enum irq_outcome lapic_deliver_to(struct vcpu *vcpu, const struct lapic_message *message)
{
	switch (message->delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		return lapic_post(vcpu, message->vector, message->level);
	case LAPIC_NMI:
		vcpu_nmi(vcpu);
		return IRQ_DELIVERED;
	case LAPIC_INIT:
		vcpu_init_ipi(vcpu);
		return IRQ_DELIVERED;
	case LAPIC_STARTUP:
		vcpu_startup_ipi(vcpu, message->vector);
		return IRQ_DELIVERED;
	case LAPIC_EXTINT:
		vcpu_request(vcpu, VCPU_REQ_EVENT);
		return IRQ_DELIVERED;
	case LAPIC_SMI: /* there is no system-management mode */
	case LAPIC_RESERVED:
	default:
		return IRQ_IGNORED;
	}
}

/* --- routing ------------------------------------------------------------------ */

/* SDM vol. 3, 10.6.2.2: flat and cluster model of the xAPIC, 10.12.10.2: x2APIC. */
static bool lapic_logical_match(struct lapic *lapic, uint32_t destination)
{
	uint32_t ldr = lapic_load(lapic->ldr);
	uint32_t set = ldr >> 24;

	if (destination == LAPIC_BROADCAST)
		return true;
	if (lapic_is_x2apic(lapic_load(lapic->base)))
		return destination >> 16 == ldr >> 16 && (destination & ldr & 0xffff);
	if (destination > 0xff)
		return false;
	if (lapic_load(lapic->dfr) >> 28 == 0xf)
		return destination & set;
	if (destination >> 4 != 0xf && destination >> 4 != set >> 4)
		return false;
	return destination & set & 0xf;
}

/* An ID that does not fit the xAPIC's eight bits is reached in x2APIC mode only. */
static bool lapic_physical_match(struct lapic *lapic, uint32_t destination)
{
	if (destination == LAPIC_BROADCAST)
		return true;
	if (lapic_load(lapic->id) != destination)
		return false;
	return destination < 0xff || lapic_is_x2apic(lapic_load(lapic->base));
}

bool lapic_matches(struct vcpu *vcpu, uint32_t destination, bool logical)
{
	struct lapic *lapic = vcpu->lapic;

	if (!lapic || !(lapic_load(lapic->base) & LAPIC_BASE_ENABLE))
		return false;
	return logical ? lapic_logical_match(lapic, destination) :
			 lapic_physical_match(lapic, destination);
}

/* Of those that match and accept: the one whose priority class is lowest. */
static struct vcpu *lapic_lowest_priority(struct vm *vm, const struct lapic_message *message)
{
	uint32_t lowest = UINT32_MAX;
	struct vcpu *chosen = NULL;
	uint32_t max = vm->max_vcpus;

	/* Ties go to different vCPUs for different vectors, always the same for each. */
	for (uint32_t i = 0; i < max; i++) {
		struct vcpu *vcpu = vm_vcpu(vm, (int)((message->vector + i) % max));
		uint32_t class;

		if (!vcpu || !lapic_matches(vcpu, message->destination, message->logical) ||
		    !lapic_accepts(vcpu->lapic))
			continue;
		class = lapic_load(vcpu->lapic->class);
		if (class < lowest) {
			lowest = class;
			chosen = vcpu;
		}
	}
	return chosen;
}

/* Delivered if anywhere, else coalesced if anywhere. */
static enum irq_outcome lapic_combine_outcomes(enum irq_outcome a, enum irq_outcome b)
{
	return min(a, b);
}

static enum irq_outcome lapic_deliver_all(struct vm *vm, const struct lapic_message *message,
					  const struct vcpu *except)
{
	enum irq_outcome outcome = IRQ_IGNORED;
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		if (vcpu != except && lapic_matches(vcpu, message->destination, message->logical))
			outcome = lapic_combine_outcomes(outcome, lapic_deliver_to(vcpu, message));
	}
	return outcome;
}

enum irq_outcome lapic_deliver(struct vm *vm, const struct lapic_message *message)
{
	struct vcpu *vcpu;

	if (message->delivery == LAPIC_LOWEST) {
		vcpu = lapic_lowest_priority(vm, message);
		return vcpu ? lapic_deliver_to(vcpu, message) : IRQ_IGNORED;
	}
	if (message->logical || message->destination == LAPIC_BROADCAST)
		return lapic_deliver_all(vm, message, NULL);
	vcpu = vm_vcpu_of_apic_id(vm, message->destination);
	if (!vcpu || !lapic_matches(vcpu, message->destination, false))
		return IRQ_IGNORED;
	return lapic_deliver_to(vcpu, message);
}

/* --- MSI --------------------------------------------------------------------- */

int lapic_msi(struct vm *vm, uint64_t addr, uint64_t msg)
{
	struct lapic_message message = {
		.destination = lapic_destination((uint8_t)(addr >> 12)),
		.logical = addr & MSI_ADDRESS_LOGICAL,
		.level = msg & MSI_DATA_LEVEL,
		.delivery = msg >> 8 & 7,
		.vector = (uint8_t)msg,
	};

	if (addr >> 20 != MSI_WINDOW >> 20)
		return -EINVAL;
	if ((addr & MSI_ADDRESS_REDIRECT) && message.logical && message.delivery == LAPIC_FIXED)
		message.delivery = LAPIC_LOWEST;
	/* A start-up cannot come as an MSI; the release of a level says nothing. */
	if (message.delivery == LAPIC_STARTUP || (message.level && !(msg & MSI_DATA_ASSERT)))
		return 0;
	(void)lapic_deliver(vm, &message);
	return 0;
}

/* --- local interrupts ---------------------------------------------------------- */

int lapic_local_irq(struct vcpu *vcpu, unsigned int lvt)
{
	struct lapic *lapic = vcpu->lapic;
	struct lapic_message message = { 0 };
	uint32_t entry;

	if (lvt >= LAPIC_LVT_COUNT || !lapic)
		return -EINVAL;
	entry = lapic_load(lapic->lvt[lvt]);
	if (!(lapic_load(lapic->base) & LAPIC_BASE_ENABLE) || (entry & LVT_MASKED))
		return 0;
	/* Timer and error entries have no delivery mode: those bits are 0, Fixed. */
	message.delivery = LVT_DELIVERY(entry);
	message.vector = entry & LVT_VECTOR;
	if (message.delivery != LAPIC_LOWEST && message.delivery != LAPIC_STARTUP)
		(void)lapic_deliver_to(vcpu, &message);
	return 0;
}

int lapic_local_irq_all(struct vm *vm, unsigned int lvt)
{
	struct vcpu *vcpu;

	if (lvt >= LAPIC_LVT_COUNT)
		return -EINVAL;
	for_each_vcpu(vm, vcpu)
		(void)lapic_local_irq(vcpu, lvt);
	return 0;
}

/* --- the 8259 pair --------------------------------------------------------------- */

bool lapic_extint_allowed(struct vcpu *vcpu)
{
	struct lapic *lapic = vcpu->lapic;
	uint32_t lint0 = lapic_load(lapic->lvt[LAPIC_LVT_LINT0]);

	/* Without an APIC the pin is INTR, and wired to the boot processor alone. */
	if (!(lapic_load(lapic->base) & LAPIC_BASE_ENABLE))
		return vcpu->id == 0;
	if (!(lint0 & LVT_MASKED) && LVT_DELIVERY(lint0) == LAPIC_EXTINT)
		return true;
	return ioapic_extint_routed(vcpu);
}

void lapic_pic_output(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		if (!vcpu->lapic)
			continue;
		if (lapic_extint_allowed(vcpu))
			vcpu_request(vcpu, VCPU_REQ_EVENT);
		else
			(void)lapic_local_irq(vcpu, LAPIC_LVT_LINT0);
	}
}

/* --- ICR --------------------------------------------------------------------- */

const uint64_t *lapic_ipi_destinations(struct vcpu *vcpu)
{
	return vcpu->lapic->ipi_destinations;
}

static bool lapic_is_ipi_target(struct lapic *lapic, struct vcpu *vcpu,
				const struct lapic_message *message, enum shorthand shorthand)
{
	switch (shorthand) {
	case TO_SELF:
		return vcpu == lapic->vcpu;
	case TO_ALL:
		return true;
	case TO_OTHERS:
		return vcpu != lapic->vcpu;
	case TO_DESTINATION:
	default:
		return lapic_matches(vcpu, message->destination, message->logical);
	}
}

/*
 * The vCPUs that userspace has to act on: all that an INIT is for, and of those that a
 * start-up IPI is for the ones that have waited for it until now.
 */
static unsigned int lapic_collect_starts(struct lapic *lapic, const struct lapic_message *message,
					 enum shorthand shorthand)
{
	struct vm *vm = lapic->vcpu->vm;
	unsigned int count = 0;
	struct vcpu *vcpu;

	memset(lapic->ipi_destinations, 0, (vm->max_vcpus + 63) / 64 * sizeof(uint64_t));
	for_each_vcpu(vm, vcpu) {
		unsigned int id = (unsigned int)vcpu->id;

		if (vcpu == lapic->vcpu || !vcpu->lapic ||
		    !lapic_is_ipi_target(lapic, vcpu, message, shorthand))
			continue;
		if (message->delivery == LAPIC_INIT)
			vcpu_begin_wait_sipi(vcpu);
		else if (!vcpu_end_wait_sipi(vcpu))
			continue;
		lapic->ipi_destinations[id / 64] |= BIT_ULL(id % 64);
		count++;
	}
	return count;
}

/* VM_CAP_IPI_EXIT. */
static int lapic_exit_ipi(struct lapic *lapic, const struct lapic_message *message,
			  enum shorthand shorthand)
{
	struct vcpu *sender = lapic->vcpu;

	if (!lapic_collect_starts(lapic, message, shorthand))
		return 0;
	(void)vcpu_exit_userspace(sender, VM_EXITCODE_IPI);
	sender->exit.u.ipi.mode = lapic->icr & ICR_DELIVERY;
	sender->exit.u.ipi.vector = message->vector;
	return 1;
}

/*
 * VM_RUN without it: userspace hears of a start-up IPI to a single vCPU, and nothing of an
 * INIT, as of bhyve before there was the capability.
 */
static int lapic_exit_spinup(struct lapic *lapic, const struct lapic_message *message,
			     enum shorthand shorthand)
{
	struct vcpu *sender = lapic->vcpu;
	bool init = message->delivery == LAPIC_INIT;
	bool single = shorthand == TO_DESTINATION && !message->logical &&
		      message->destination != LAPIC_BROADCAST;

	if ((!init && !single) || !lapic_collect_starts(lapic, message, shorthand) || init)
		return 0;
	(void)vcpu_exit_userspace(sender, VM_EXITCODE_SPINUP_AP);
	sender->exit.u.spinup_ap.vcpu = vm_vcpu_of_apic_id(sender->vm, message->destination)->id;
	sender->exit.u.spinup_ap.rip = (uint64_t)message->vector << OS_PAGE_SHIFT;
	return 1;
}

static void lapic_send_to_self(struct lapic *lapic, const struct lapic_message *message)
{
	if (message->delivery == LAPIC_FIXED)
		(void)lapic_set_irr(lapic, message->vector);
	else if (message->delivery == LAPIC_NMI)
		vcpu_nmi(lapic->vcpu);
}

static void lapic_route_ipi(struct lapic *lapic, struct lapic_message *message,
			    enum shorthand shorthand)
{
	struct vcpu *self = lapic->vcpu;

	switch (shorthand) {
	case TO_SELF:
		lapic_send_to_self(lapic, message);
		return;
	case TO_ALL:
	case TO_OTHERS:
		message->destination = LAPIC_BROADCAST;
		message->logical = false;
		(void)lapic_deliver_all(self->vm, message, shorthand == TO_OTHERS ? self : NULL);
		return;
	case TO_DESTINATION:
	default:
		(void)lapic_deliver(self->vm, message);
	}
}

static uint32_t lapic_icr_destination(struct lapic *lapic)
{
	uint32_t icr_high = *lapic_register(lapic, PAGE_ICR_HIGH);

	if (lapic_is_x2apic(lapic->base))
		return icr_high;
	return lapic_destination((uint8_t)(icr_high >> 24));
}

int lapic_send_ipi(struct lapic *lapic)
{
	uint32_t icr = lapic->icr &= ~ICR_STATUS; /* delivery is immediate */
	enum shorthand shorthand = ICR_SHORTHAND(icr);
	struct lapic_message message = {
		.destination = lapic_icr_destination(lapic),
		.logical = icr & ICR_LOGICAL,
		.delivery = LVT_DELIVERY(icr),
		.vector = (uint8_t)icr,
	};
	bool start = message.delivery == LAPIC_INIT || message.delivery == LAPIC_STARTUP;

	if (message.delivery <= LAPIC_LOWEST && message.vector < VECTOR_FIRST) {
		lapic_error(lapic, ESR_SEND_ILLEGAL);
		return 0;
	}
	/* INIT level de-assert only ever synchronized arbitration IDs; ExtINT is no IPI. */
	if ((message.delivery == LAPIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT)) ||
	    message.delivery == LAPIC_EXTINT)
		return 0;
	if (start && (lapic->vcpu->capabilities & 1u << VM_CAP_IPI_EXIT))
		return lapic_exit_ipi(lapic, &message, shorthand);
	if (start && !lapic->vcpu->reply_mode)
		return lapic_exit_spinup(lapic, &message, shorthand);
	lapic_route_ipi(lapic, &message, shorthand);
	return 0;
}
