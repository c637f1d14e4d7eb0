// SPDX-License-Identifier: BSD-2-Clause
/* Interrupts between processors, and how one is started. */
#include "payload/payload.h"
#include "payload/smp.h"

#define ICR_PHYSICAL 0x4000u /* fixed, assert */
#define ICR_LOGICAL  0x4800u
#define ICR_LOWEST   0x4900u /* logical */
#define ICR_NMI	     0x4400u
#define ICR_INIT     0x4500u
#define ICR_STARTUP  0x4600u
#define TO_ALL	     (2u << 18)
#define TO_OTHERS    (3u << 18)
#define VECTOR	     0x41
#define VECTOR_NMI   2

/* More than a second of the TSC; Bochs has one thread for all processors. */
#define PATIENCE 8000000000ull

static volatile unsigned int received[SMP_MOST], nmis[SMP_MOST];
static volatile bool ready[SMP_MOST];

static void note_receiver(struct frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&received[smp_self()], 1, __ATOMIC_SEQ_CST);
	apic_eoi();
}

static void note_nmi(struct frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&nmis[smp_self()], 1, __ATOMIC_SEQ_CST);
}

static void wait_until_equal(volatile unsigned int *counter, unsigned int value, const char *what)
{
	uint64_t start = rdtsc();

	while (*counter != value) {
		if (rdtsc() - start > PATIENCE)
			fail("%s: %u, not %u", what, (uint64_t)*counter, (uint64_t)value);
		pause();
	}
}

static void wait_until_set(volatile bool *flag, const char *what)
{
	uint64_t start = rdtsc();

	while (!*flag) {
		if (rdtsc() - start > PATIENCE)
			fail("%s: not in time", what);
		pause();
	}
}

/* Time for an interrupt that must not come: exits let the threads of other vCPUs run. */
static void wait_for_delivery_to_all(void)
{
	for (unsigned int i = 0; i < 200; i++)
		(void)inb(0x3e0);
}

static void send_ipi(unsigned int destination, uint32_t command)
{
	apic_write(0x310, destination << 24);
	apic_write(0x300, command);
}

/* A processor that takes interrupts in a loop of HLT. LDR: its bit, flat. */
static void receive_forever(void *unused)
{
	unsigned int self = smp_self();

	(void)unused;
	apic_write(0xf0, 0x1ff);
	apic_write(0xd0, 1u << (24 + self));
	ready[self] = true;
	for (;;)
		wait_for_interrupt();
}

static void start_receivers(unsigned int cpus, void (*fn)(void *))
{
	apic_enable();
	apic_write(0xd0, 1u << 24);
	set_handler(VECTOR, note_receiver);
	set_handler(VECTOR_NMI, note_nmi);
	for (unsigned int cpu = 1; cpu < cpus; cpu++) {
		smp_start(cpu, fn, NULL);
		wait_until_set(&ready[cpu], "start");
	}
}

/* --- destinations --------------------------------------------------------- */

TEST(smp3_ipi_physical_reaches_the_one_named, CPUS(3))
{
	start_receivers(3, receive_forever);
	send_ipi(2, ICR_PHYSICAL | VECTOR);
	wait_until_equal(&received[2], 1, "processor 2");
	send_ipi(1, ICR_PHYSICAL | VECTOR);
	wait_until_equal(&received[1], 1, "processor 1");
	wait_for_delivery_to_all();
	CHECK_EQ(received[2], 1);
	CHECK_EQ(received[1] + received[2], 2);
}

TEST(smp3_ipi_logical_flat_reaches_those_of_the_mask, CPUS(3))
{
	start_receivers(3, receive_forever);
	send_ipi(6, ICR_LOGICAL | VECTOR);
	wait_until_equal(&received[1], 1, "processor 1");
	wait_until_equal(&received[2], 1, "processor 2");
	send_ipi(4, ICR_LOGICAL | VECTOR);
	wait_until_equal(&received[2], 2, "processor 2");
	wait_for_delivery_to_all();
	CHECK_EQ(received[1], 1);
	asm volatile("sti; nop; nop; cli");
	CHECK_EQ(received[0], 0);
}

/* 1 and 3 are in cluster 0, 2 in cluster 1 with the place that 1 has in its own. */
static void receive_in_cluster(void *unused)
{
	static const uint8_t place[] = { 0, 0x01, 0x11, 0x02 };
	unsigned int self = smp_self();

	(void)unused;
	apic_write(0xf0, 0x1ff);
	apic_write(0xe0, 0x0fffffff);
	apic_write(0xd0, (uint32_t)place[self] << 24);
	ready[self] = true;
	for (;;)
		wait_for_interrupt();
}

TEST(smp4_ipi_logical_cluster_reaches_one_cluster, CPUS(4))
{
	start_receivers(4, receive_in_cluster);
	apic_write(0xe0, 0x0fffffff);
	apic_write(0xd0, 0x24000000);
	send_ipi(0x11, ICR_LOGICAL | VECTOR);
	wait_until_equal(&received[2], 1, "processor 2");
	send_ipi(0x03, ICR_LOGICAL | VECTOR);
	wait_until_equal(&received[1], 1, "processor 1");
	wait_until_equal(&received[3], 1, "processor 3");
	wait_for_delivery_to_all();
	CHECK_EQ(received[2], 1);
	CHECK_EQ(received[1] + received[3], 2);
}

TEST(smp3_ipi_all_includes_the_sender, CPUS(3))
{
	start_receivers(3, receive_forever);
	interrupts_on();
	send_ipi(0, ICR_PHYSICAL | TO_ALL | VECTOR);
	wait_until_equal(&received[0], 1, "processor 0");
	wait_until_equal(&received[1], 1, "processor 1");
	wait_until_equal(&received[2], 1, "processor 2");
	interrupts_off();
}

TEST(smp3_ipi_all_but_self_spares_the_sender, CPUS(3))
{
	start_receivers(3, receive_forever);
	interrupts_on();
	send_ipi(0, ICR_PHYSICAL | TO_OTHERS | VECTOR);
	wait_until_equal(&received[1], 1, "processor 1");
	wait_until_equal(&received[2], 1, "processor 2");
	wait_for_delivery_to_all();
	interrupts_off();
	CHECK_EQ(received[0], 0);
}

TEST(smp3_ipi_physical_broadcast_reaches_all, CPUS(3))
{
	start_receivers(3, receive_forever);
	interrupts_on();
	send_ipi(0xff, ICR_PHYSICAL | VECTOR);
	for (unsigned int cpu = 0; cpu < 3; cpu++)
		wait_until_equal(&received[cpu], 1, "broadcast");
	interrupts_off();
}

TEST(smp2_ipi_to_nobody_is_lost, CPUS(2))
{
	start_receivers(2, receive_forever);
	interrupts_on();
	send_ipi(7, ICR_PHYSICAL | VECTOR);
	send_ipi(0x80, ICR_LOGICAL | VECTOR);
	wait_for_delivery_to_all();
	interrupts_off();
	CHECK_EQ(received[0] + received[1], 0);
}

TEST(smp3_ipi_lowest_priority_reaches_exactly_one, CPUS(3))
{
	start_receivers(3, receive_forever);
	for (unsigned int i = 1; i <= 10; i++) {
		uint64_t start = rdtsc();

		send_ipi(6, ICR_LOWEST | VECTOR);
		while (received[1] + received[2] < i && rdtsc() - start < PATIENCE)
			pause();
		CHECK_EQ(received[1] + received[2], i);
	}
	wait_for_delivery_to_all();
	CHECK_EQ(received[1] + received[2], 10);
	CHECK_EQ(received[0], 0);
}

TEST(smp2_ipi_is_answered_many_times, CPUS(2))
{
	start_receivers(2, receive_forever);
	for (unsigned int i = 1; i <= 300; i++) {
		send_ipi(1, ICR_PHYSICAL | VECTOR);
		wait_until_equal(&received[1], i, "processor 1");
	}
}

/* --- NMI ------------------------------------------------------------------ */

static void sleep_with_interrupts_off(void *unused)
{
	unsigned int self = smp_self();

	(void)unused;
	apic_write(0xf0, 0x1ff);
	ready[self] = true;
	for (;;) {
		asm volatile("hlt" : : : "memory");
		__atomic_fetch_add(&received[self], 1, __ATOMIC_SEQ_CST);
	}
}

TEST(smp2_nmi_wakes_hlt_with_interrupts_off, CPUS(2))
{
	start_receivers(2, sleep_with_interrupts_off);
	send_ipi(1, ICR_NMI);
	wait_until_equal(&nmis[1], 1, "NMIs");
	wait_until_equal(&received[1], 1, "wake-ups");
	send_ipi(1, ICR_NMI);
	wait_until_equal(&received[1], 2, "wake-ups");
	CHECK_EQ(nmis[0], 0);
}

#define VOLLEYS 1000

static void return_nmi(struct frame *frame)
{
	unsigned int self = smp_self();

	(void)frame;
	if (self == 0 && ++nmis[0] == VOLLEYS)
		finish(TEST_PASSED);
	send_ipi(!self, ICR_NMI);
}

/* Both sleep, but for the one whose NMI is on its way: the machine has not halted. */
TEST(smp2_nmis_between_sleepers, CPUS(2))
{
	start_receivers(2, sleep_with_interrupts_off);
	set_handler(VECTOR_NMI, return_nmi);
	send_ipi(1, ICR_NMI);
	for (;;)
		asm volatile("hlt" : : : "memory");
}

TEST(smp2_ipi_does_not_wake_hlt_with_interrupts_off, CPUS(2))
{
	start_receivers(2, sleep_with_interrupts_off);
	wait_for_delivery_to_all();
	send_ipi(1, ICR_PHYSICAL | VECTOR);
	wait_for_delivery_to_all();
	CHECK_EQ(received[1], 0);
	send_ipi(1, ICR_NMI);
	wait_until_equal(&received[1], 1, "wake-ups");
	CHECK_EQ(taken[VECTOR], 0);
}

static void spin_with_interrupts_off(void *unused)
{
	(void)unused;
	apic_write(0xf0, 0x1ff);
	ready[smp_self()] = true;
	for (;;)
		pause();
}

TEST(smp2_nmi_reaches_a_processor_that_runs, CPUS(2))
{
	start_receivers(2, spin_with_interrupts_off);
	for (unsigned int i = 1; i <= 10; i++) {
		send_ipi(1, ICR_NMI);
		wait_until_equal(&nmis[1], i, "NMIs");
	}
}

TEST(smp3_nmi_to_all_but_self, CPUS(3))
{
	start_receivers(3, sleep_with_interrupts_off);
	send_ipi(0, ICR_NMI | TO_OTHERS);
	wait_until_equal(&nmis[1], 1, "processor 1");
	wait_until_equal(&nmis[2], 1, "processor 2");
	CHECK_EQ(nmis[0], 0);
}

/* --- start ---------------------------------------------------------------- */

TEST(smp2_sipi_names_the_code_segment, CPUS(2))
{
	start_receivers(2, receive_forever);
	CHECK_EQ(smp_record.code_segment, 0x800);
}

TEST(smp2_init_leaves_the_signature_in_edx, CPUS(2))
{
	start_receivers(2, receive_forever);
	CHECK_EQ(smp_record.signature, cpuid(1).a);
}

static volatile unsigned int starts;

static void count_start(void *unused)
{
	__atomic_fetch_add(&starts, 1, __ATOMIC_SEQ_CST);
	spin_with_interrupts_off(unused);
}

/* To a processor that runs, a start-up IPI means nothing. */
TEST(smp2_second_sipi_is_ignored, CPUS(2))
{
	start_receivers(2, count_start);
	send_ipi(1, ICR_STARTUP | 8);
	wait_for_delivery_to_all();
	send_ipi(1, ICR_NMI);
	wait_until_equal(&nmis[1], 1, "NMIs");
	CHECK_EQ(starts, 1);
}

TEST(smp2_init_and_sipi_restart_a_processor, CPUS(2))
{
	start_receivers(2, count_start);
	for (unsigned int i = 2; i <= 5; i++) {
		ready[1] = false;
		smp_start(1, count_start, NULL);
		wait_until_set(&ready[1], "restart");
		CHECK_EQ(starts, i);
	}
}

/* INIT stops it, for as long as no start-up IPI comes. */
TEST(smp2_init_stops_a_processor, CPUS(2))
{
	start_receivers(2, count_start);
	send_ipi(1, ICR_INIT);
	wait_for_delivery_to_all();
	send_ipi(1, ICR_PHYSICAL | VECTOR);
	wait_for_delivery_to_all();
	CHECK_EQ(taken[VECTOR], 0);
	CHECK_EQ(starts, 1);
	smp_start(1, count_start, NULL);
	wait_until_equal(&starts, 2, "starts");
}

static volatile uint32_t fresh[6];

static void report_apic(void *unused)
{
	(void)unused;
	fresh[0] = apic_read(0xf0);
	fresh[1] = apic_read(0xd0);
	fresh[2] = apic_read(0x80);
	fresh[3] = apic_read(0x320);
	fresh[4] = apic_read(0x350);
	fresh[5] = apic_read(0x20);
	ready[1] = true;
	for (;;)
		pause();
}

static void spoil_apic(void *unused)
{
	(void)unused;
	apic_write(0xf0, 0x1ff);
	apic_write(0xd0, 0x02000000);
	apic_write(0x80, 0x90);
	apic_write(0x320, 0x20041);
	ready[1] = true;
	for (;;)
		pause();
}

TEST(smp2_init_resets_the_apic_but_not_its_id, CPUS(2))
{
	start_receivers(2, spoil_apic);
	ready[1] = false;
	smp_start(1, report_apic, NULL);
	wait_until_set(&ready[1], "second start");
	CHECK_EQ(fresh[0], 0xff);
	CHECK_EQ(fresh[1], 0);
	CHECK_EQ(fresh[2], 0);
	CHECK_EQ(fresh[3], 0x10000);
	CHECK_EQ(fresh[4], 0x10000);
	CHECK_EQ(fresh[5], 0x01000000);
}

static volatile uint64_t base_msr;

static void report_base(void *unused)
{
	(void)unused;
	base_msr = rdmsr(0x1b);
	ready[1] = true;
	for (;;)
		pause();
}

TEST(smp2_only_processor_0_is_the_boot_processor, CPUS(2))
{
	start_receivers(2, report_base);
	CHECK_EQ(base_msr, APIC_BASE | 0x800);
	CHECK_EQ(rdmsr(0x1b), APIC_BASE | 0x900);
}

/* --- memory between processors -------------------------------------------- */

static volatile uint64_t shared_count;

static void add_many(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < 100000; i++)
		__atomic_fetch_add(&shared_count, 1, __ATOMIC_SEQ_CST);
	ready[smp_self()] = true;
	for (;;)
		pause();
}

TEST(smp2_locked_additions_are_not_lost, CPUS(2))
{
	apic_enable();
	smp_start(1, add_many, NULL);
	for (unsigned int i = 0; i < 100000; i++)
		__atomic_fetch_add(&shared_count, 1, __ATOMIC_SEQ_CST);
	wait_until_set(&ready[1], "processor 1");
	CHECK_EQ(shared_count, 200000);
}
