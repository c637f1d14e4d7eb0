// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any sequence of accesses to the in-kernel devices by a guest of three vCPUs, of
 * calls by userspace, and of time: nothing but what the registers say may follow, and
 * the host's timers must not run more often than dev/periodic.h promises.
 */
#include "fake_backend.h"
#include "vm/timer.h"

#include <stdlib.h>

#include "dev/device.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/periodic.h"
#include "dev/pic.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"

#define CPUS	   3
#define STEPS	   512
#define WAKES	   64 /* host timers that may run in one step */
#define EOI_OFFSET 0xb0

/* 8254, RTC, HPET's and the local APICs'. */
#define DEVICE_TIMERS (2 + HPET_TIMERS)
#define TIMERS	      (DEVICE_TIMERS + CPUS)

#define EXPECT(condition)                                                                     \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition); \
			abort();                                                              \
		}                                                                             \
	} while (0)

/* As it lies in the input. */
struct step {
	uint8_t operation;
	uint8_t cpu; /* and in the upper bits the size and direction of an access */
	uint16_t where;
	uint64_t value;
} __packed;

static struct vm *vm;
static struct vcpu *cpu[CPUS];
static uint8_t *page; /* of the last vCPU's APIC, if a processor shares it; NULL */

static unsigned int size_of(const struct step *step)
{
	return 1u << (step->cpu >> 4 & 3);
}

static bool is_write(const struct step *step)
{
	return step->cpu & 0x80;
}

static bool fits(uint64_t value, unsigned int size)
{
	return size >= 8 || value >> size * 8 == 0;
}

/* --- accesses ---------------------------------------------------------------------- */

static void access_port(struct vcpu *vcpu, const struct step *step)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41,  0x42,
					  0x43, 0x61, 0x70, 0x71, 0x408, 0x40a, 0x3f, 0xffff };
	uint16_t port = ports[step->where % ARRAY_SIZE(ports)];
	int64_t value =
		device_port(vcpu, port, is_write(step), size_of(step), (uint32_t)step->value);

	EXPECT(value >= 0 || value == -ENOENT);
	EXPECT(value < 0 || !is_write(step) || value == 0);
	EXPECT(value < 0 || fits((uint64_t)value, size_of(step)));
}

/* Register of the RTC, which otherwise takes two lucky steps. */
static void access_rtc(struct vcpu *vcpu, const struct step *step)
{
	(void)device_port(vcpu, 0x70, true, 1, step->where & 0x7f);
	(void)device_port(vcpu, 0x71, is_write(step), 1, (uint8_t)step->value);
}

/* Whole registers mostly, or any byte of the page. */
static uint32_t choose_offset(const struct step *step, unsigned int stride)
{
	if (step->where & 0x8000)
		return step->where & 0xfff;
	return (step->where & 0x3f) * stride;
}

/* Where devices are, said anew. */
static bool is_claimed(struct vcpu *vcpu, uint64_t gpa)
{
	uint64_t lapic = lapic_mmio_base(vcpu);

	return (gpa >= lapic && gpa - lapic < 0x1000) || (gpa >= IOAPIC_BASE && gpa < 0xfec01000) ||
	       (gpa >= HPET_BASE && gpa < 0xfed00400);
}

static void access_memory(struct vcpu *vcpu, uint64_t base, uint32_t offset,
			  const struct step *step)
{
	uint64_t gpa = base + offset;
	bool claimed = is_claimed(vcpu, gpa);
	unsigned int size = step->where & 0x8000 ? size_of(step) : 4 + (step->cpu >> 4 & 4);
	uint64_t value = step->value;
	int error = device_mmio(vcpu, gpa, is_write(step), size, &value);

	EXPECT(claimed == (error != -ENOENT));
	EXPECT(error == 0 || error == -ENOENT || (error == DEVICE_EXIT && is_write(step)));
	EXPECT(error || is_write(step) || fits(value, size));
}

/* Comparators get values that the counter comes to. */
static void access_hpet(struct vcpu *vcpu, const struct step *step)
{
	struct step near = *step;

	if (step->where & 0x4000) {
		uint64_t counter;

		hpet_mmio_read(vm, 0xf0, 8, &counter);
		near.value = counter + step->value % 1000000;
	}
	access_memory(vcpu, HPET_BASE, choose_offset(step, 8), &near);
}

static void access_ioapic(struct vcpu *vcpu, const struct step *step)
{
	uint64_t value = step->where & 0x7f;

	(void)device_mmio(vcpu, IOAPIC_BASE, true, 4, &value);
	value = step->value;
	(void)device_mmio(vcpu, IOAPIC_BASE + 0x10, is_write(step), 4, &value);
}

static void access_msr(struct vcpu *vcpu, const struct step *step)
{
	uint32_t msr = LAPIC_MSR_FIRST + (step->where & 0xff);
	uint64_t value = step->value;
	int error;

	if (is_write(step))
		error = lapic_wrmsr(vcpu, msr, value);
	else
		error = lapic_rdmsr(vcpu, msr, &value);
	EXPECT(error == 0 || error == -EINVAL || (error == 1 && is_write(step)));
}

/* --- what a processor does that shares the APIC's page (SDM vol. 3, chapter 29) --- */

#define SHARER (CPUS - 1)
#define ISR    0x100
#define IRR    0x200

static uint32_t *in_page(uint32_t offset)
{
	return (uint32_t *)(page + offset);
}

static uint32_t *vector_in_page(uint32_t map, unsigned int vector)
{
	return in_page(map + vector / 32 * 16);
}

/* Registers whose writes go to the page and may exit: 3f is the x2APIC's. */
static bool is_virtualized(unsigned int number)
{
	return number == 0x08 || (number >= 0x0d && number <= 0x0f) || number == 0x28 ||
	       (number >= 0x2f && number <= 0x38) || number >= 0x3e;
}

static void write_page(const struct step *step)
{
	struct vcpu *vcpu = cpu[SHARER];
	unsigned int number = step->where & 0x3f;
	int error;

	if (!is_virtualized(number))
		return;
	*in_page(number << 4) = (uint32_t)step->value;
	if (number == 0x31)
		return; /* ICR's high half: without an exit */
	error = lapic_virtual_write(vcpu, number << 4 | (step->where >> 8 & 15));
	EXPECT(error == 0 || error == 1);
	EXPECT(!error || vcpu->exit.exitcode == VM_EXITCODE_IPI);
}

/* It has been told of the highest request, and of the one in service. */
static void deliver_in_page(void)
{
	int vector = lapic_highest_request(cpu[SHARER]);

	if (vector < 0 || vector >> 4 <= lapic_in_service(cpu[SHARER]) >> 4)
		return;
	*vector_in_page(IRR, (unsigned int)vector) &= ~(1u << vector % 32);
	*vector_in_page(ISR, (unsigned int)vector) |= 1u << vector % 32;
	EXPECT(lapic_in_service(cpu[SHARER]) == vector);
}

static void end_in_page(void)
{
	unsigned int vector = lapic_in_service(cpu[SHARER]);

	if (vector == 0)
		return;
	*vector_in_page(ISR, vector) &= ~(1u << vector % 32);
	if (lapic_level_vectors(cpu[SHARER], vector / 64) >> vector % 64 & 1)
		lapic_virtual_eoi(cpu[SHARER], (uint8_t)vector);
}

static void request_in_page(const struct step *step)
{
	unsigned int vector = step->value & 0xff;

	if (vector >= 16)
		*vector_in_page(IRR, vector) |= 1u << vector % 32;
}

static void play_processor(const struct step *step)
{
	if (!page || !(lapic_get_base(cpu[SHARER]) & LAPIC_BASE_ENABLE))
		return;
	switch (step->cpu >> 6) {
	case 0:
		deliver_in_page();
		break;
	case 1:
		end_in_page();
		break;
	case 2:
		request_in_page(step);
		break;
	default:
		write_page(step);
		break;
	}
}

/* Reads are answered from the page: every register with no clock in it is there. */
static void check_page(void)
{
	static const uint16_t shown[] = { 0x20,	 0x30,	0xd0,  0xf0,  0x280, 0x2f0, 0x300, 0x310,
					  0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0 };

	for (size_t i = 0; page && i < ARRAY_SIZE(shown); i++) {
		uint64_t value;

		(void)lapic_mmio_read(cpu[SHARER], shown[i], 4, &value);
		EXPECT(value == *in_page(shown[i]));
	}
}

static void change_mode(struct vcpu *vcpu, const struct step *step)
{
	uint64_t base = lapic_get_base(vcpu);

	switch (step->where & 3) {
	case 0:
		(void)lapic_set_base(vcpu, step->value);
		break;
	case 1:
		(void)lapic_set_base(vcpu, base ^ (step->value & 0xc00));
		break;
	case 2:
		(void)lapic_set_x2apic_state(vcpu, step->value & 3);
		break;
	default:
		vcpu->capabilities ^= 1u << VM_CAP_IPI_EXIT;
		break;
	}
}

/* --- time and interrupts -------------------------------------------------- */

static void take_interrupt(struct vcpu *vcpu)
{
	int vector = lapic_pending(vcpu);
	uint64_t zero = 0;

	if (vector < 0)
		return;
	EXPECT(vector >= 16 && vector < 256);
	EXPECT(lapic_has_work(vcpu));
	EXPECT((uint64_t)vector >> 4 > fake_vcpu(vcpu)->reg[VM_REG_GUEST_TPR]);
	lapic_accept(vcpu, (uint8_t)vector);
	EXPECT(lapic_pending(vcpu) < 0 || lapic_pending(vcpu) >> 4 > vector >> 4);
	if (lapic_mmio_base(vcpu) != ~0ull)
		EXPECT(lapic_mmio_write(vcpu, EOI_OFFSET, 4, zero) == 0);
	else
		(void)lapic_wrmsr(vcpu, LAPIC_MSR_FIRST + (EOI_OFFSET >> 4), zero);
}

static void take_extint(void)
{
	bool pending = pic_pending(vm);
	int vector = pending ? pic_intack(vm) : 0;

	EXPECT(vector >= 0 && vector < 256);
}

static void serve_timers(void)
{
	for (int i = 0; i < CPUS; i++)
		if (fake_requests(cpu[i]) & VCPU_REQ_TIMER)
			lapic_timer_event(cpu[i]);
}

/* A vCPU is in VM_RUN. */
static bool inside;

static void enter_or_leave(void)
{
	inside = !inside;
	if (!inside)
		vm_timers_leave(cpu[0]);
	else if (vm_timers_enter(cpu[0]))
		device_resume_all(vm);
}

/*
 * No timer may run more often than its shortest period allows, but for one late and one new;
 * with no vCPU in VM_RUN each may expire once.
 */
static uint64_t most_wakes(uint64_t passed)
{
	if (!inside)
		return TIMERS;
	return DEVICE_TIMERS * (passed / vm_timer_min_ns + 3) +
	       CPUS * (passed / PERIODIC_MIN_NS + 3);
}

static void let_time_pass(uint64_t ns)
{
	uint64_t start = os_now_ns();
	unsigned int wakes = 0;

	while (wakes < WAKES && os_user_clock_next() <= start + ns) {
		uint64_t next = os_user_clock_next();

		os_user_clock_advance(next > os_now_ns() ? next - os_now_ns() : 0);
		if (inside)
			serve_timers();
		wakes++;
	}
	EXPECT(wakes <= most_wakes(os_now_ns() - start));
	if (wakes < WAKES)
		os_user_clock_advance(start + ns - os_now_ns());
	EXPECT(os_user_timers() <= TIMERS);
}

static void pass_time(const struct step *step)
{
	static const uint64_t most[] = { 1000, 1000000, 1000000000, 100000000000000 };

	let_time_pass(step->value % most[step->where & 3]);
}

/* --- userspace --------------------------------------------------------------- */

static void drive_line(const struct step *step)
{
	int line = (int8_t)step->where;

	switch (step->value % 7) {
	case 0:
		(void)ioapic_assert(vm, line);
		break;
	case 1:
		(void)ioapic_deassert(vm, line);
		break;
	case 2:
		(void)ioapic_pulse(vm, line);
		break;
	case 3:
		(void)pic_assert(vm, line);
		break;
	case 4:
		(void)pic_deassert(vm, line);
		break;
	case 5:
		(void)pic_pulse(vm, line);
		break;
	default:
		(void)pic_set_trigger(vm, line, step->value >> 8 & 3);
		break;
	}
}

static void post(struct vcpu *vcpu, const struct step *step)
{
	switch (step->value & 3) {
	case 0:
		(void)lapic_post(vcpu, (uint8_t)step->where, step->value & 4);
		break;
	case 1:
		(void)lapic_msi(vm, 0xfee00000 | (step->value >> 8 & 0xfffff), step->where);
		break;
	case 2:
		(void)lapic_local_irq(vcpu, step->where & 7);
		break;
	default:
		(void)lapic_local_irq_all(vm, step->where);
		break;
	}
}

static void change_tsc(struct vcpu *vcpu, const struct step *step)
{
	if (is_write(step)) {
		vcpu->tsc_offset = step->value;
		lapic_tsc_changed(vcpu);
	} else {
		lapic_set_deadline(vcpu, os_rdtsc() + vcpu->tsc_offset + step->value % 100000000);
		(void)lapic_get_deadline(vcpu);
	}
}

static void program_rtc(const struct step *step)
{
	uint8_t value;

	if (is_write(step))
		(void)rtc_settime(vm, (int64_t)step->value);
	else
		(void)rtc_nvram_write(vm, (int16_t)step->where, (uint8_t)step->value);
	if (rtc_nvram_read(vm, (int16_t)step->where, &value) == 0)
		EXPECT((int16_t)step->where >= 0 && step->where < RTC_NVRAM_SIZE);
	EXPECT(rtc_gettime(vm) >= 0);
}

static void reset(struct vcpu *vcpu, const struct step *step)
{
	switch (step->where & 15) {
	case 0:
		device_reset_all(vm);
		break;
	case 1:
		device_stop_all(vm);
		break;
	case 2:
		lapic_reset(vcpu, step->value & 1);
		break;
	case 3:
	case 4:
		enter_or_leave();
		break;
	default:
		fake_vcpu(vcpu)->reg[VM_REG_GUEST_TPR] = step->value & 15;
		break;
	}
}

/* --- what must hold after every step -------------------------------------- */

static uint64_t read_ioapic(unsigned int reg)
{
	uint64_t value;

	ioapic_mmio_write(vm, 0x00, 4, reg);
	ioapic_mmio_read(vm, 0x10, 4, &value);
	return value;
}

/* IOREGSEL is as before. */
static void check_ioapic(void)
{
	uint64_t selected;

	ioapic_mmio_read(vm, 0x00, 4, &selected);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t entry = read_ioapic(0x11 + 2 * pin) << 32 | read_ioapic(0x10 + 2 * pin);

		/* Remote IRR belongs to level-triggered Fixed and Lowest entries. */
		EXPECT(!(entry & 0x4000) || ((entry & 0x8000) && (entry >> 8 & 7) <= 1));
		EXPECT((entry & 0x00fffffffffe1000ull) == 0);
	}
	ioapic_mmio_write(vm, 0x00, 4, selected);
}

static void check_lapic(struct vcpu *vcpu)
{
	int pending = lapic_pending(vcpu);
	int blocked = lapic_blocked_by_tpr(vcpu);

	EXPECT(pending < 0 || blocked < 0);
	EXPECT(pending < 0 || pending == lapic_highest_request(vcpu));
	EXPECT((pending < 0 && blocked < 0) || lapic_has_work(vcpu));
	EXPECT(fake_vcpu(vcpu)->reg[VM_REG_GUEST_TPR] < 16);
}

static void do_step(const struct step *step)
{
	struct vcpu *vcpu = cpu[(step->cpu & 15) % CPUS];

	switch (step->operation & 15) {
	case 0:
	case 1:
		access_port(vcpu, step);
		break;
	case 2:
		access_rtc(vcpu, step);
		break;
	case 3:
		access_memory(vcpu, LAPIC_DEFAULT_BASE, choose_offset(step, 16), step);
		break;
	case 4:
		if (step->operation & 0x80)
			play_processor(step);
		else
			access_memory(vcpu, LAPIC_DEFAULT_BASE, choose_offset(step, 16), step);
		break;
	case 5:
		if (step->operation & 0x80)
			access_memory(vcpu, IOAPIC_BASE, choose_offset(step, 16), step);
		else
			access_hpet(vcpu, step);
		break;
	case 6:
		access_ioapic(vcpu, step);
		break;
	case 7:
		access_msr(vcpu, step);
		break;
	case 8:
		change_mode(vcpu, step);
		break;
	case 9:
	case 10:
		pass_time(step);
		break;
	case 11:
		take_interrupt(vcpu);
		take_extint();
		break;
	case 12:
		drive_line(step);
		break;
	case 13:
		post(vcpu, step);
		break;
	case 14:
		change_tsc(vcpu, step);
		break;
	default:
		program_rtc(step);
		reset(vcpu, step);
		break;
	}
	check_ioapic();
	for (int i = 0; i < CPUS; i++)
		check_lapic(cpu[i]);
	check_page();
}

/* --- where a guest that has booted would be; which parts, says the first byte --- */

static void write_ports(const uint16_t (*writes)[2], unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		(void)device_port(cpu[0], writes[i][0], true, 1, writes[i][1]);
}

static void start_pics(void)
{
	static const uint16_t writes[][2] = {
		{ 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xa0, 0x11 }, { 0xa1, 0x28 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
	};

	write_ports(writes, ARRAY_SIZE(writes));
}

static void start_pit_and_rtc(void)
{
	static const uint16_t writes[][2] = {
		{ 0x43, 0x34 }, { 0x40, 0xa9 }, { 0x40, 0x04 }, { 0x70, 0x0b }, { 0x71, 0x72 },
	};

	write_ports(writes, ARRAY_SIZE(writes));
}

/* Every pin to a vCPU, upper half level-triggered. */
static void start_ioapic(void)
{
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic_mmio_write(vm, 0, 4, 0x11 + 2 * pin);
		ioapic_mmio_write(vm, 0x10, 4, (uint64_t)(pin % CPUS) << 24);
		ioapic_mmio_write(vm, 0, 4, 0x10 + 2 * pin);
		ioapic_mmio_write(vm, 0x10, 4, (0x30 + 3 * pin) | (pin & 16) << 11);
	}
}

static void start_hpet(void)
{
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		hpet_mmio_write(vm, 0x100 + 0x20 * n, 8, 0x4c | (24 + n) << 9 | (n & 2));
		hpet_mmio_write(vm, 0x108 + 0x20 * n, 8, 10000 << n);
		hpet_mmio_write(vm, 0x110 + 0x20 * n, 8, 0xfee00000000000f1ull);
	}
}

static void start_lapic_timers(void)
{
	for (int i = 0; i < CPUS; i++) {
		(void)lapic_mmio_write(cpu[i], 0x320, 4, 0x200ec | (i == 2 ? 0x60000 : 0));
		(void)lapic_mmio_write(cpu[i], 0x380, 4, 100000 << i);
		lapic_set_deadline(cpu[i], 1);
	}
}

static void start_x2apic(void)
{
	(void)lapic_set_x2apic_state(cpu[1], X2APIC_ENABLED);
	(void)lapic_set_base(cpu[1], lapic_get_base(cpu[1]) | LAPIC_BASE_X2APIC);
}

static void share_page(void)
{
	page = lapic_page(cpu[SHARER], true);
}

static void boot(uint8_t parts)
{
	static void (*const start[])(void) = { start_pics, start_pit_and_rtc,  start_ioapic,
					       start_hpet, start_lapic_timers, start_x2apic,
					       share_page };

	for (int i = 0; i < CPUS; i++) {
		cpu[i] = fake_vm_vcpu(vm, i);
		(void)lapic_mmio_write(cpu[i], 0xf0, 4, 0x1ff);
	}
	inside = false;
	enter_or_leave();
	hpet_mmio_write(vm, 0x10, 8, 1 + (parts >> 7) * 2);
	for (unsigned int i = 0; i < ARRAY_SIZE(start); i++)
		if (parts >> i & 1)
			start[i]();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step step;

	if (size == 0)
		return 0;
	os_user_reset();
	page = NULL;
	vm = fake_vm_create(CPUS);
	boot(*data++);
	size--;
	for (unsigned int i = 0; i < STEPS && size >= sizeof(step); i++) {
		memcpy(&step, data, sizeof(step));
		do_step(&step);
		data += sizeof(step);
		size -= sizeof(step);
	}
	fake_vm_destroy(vm); /* aborts if a timer or memory is left over */
	return 0;
}
