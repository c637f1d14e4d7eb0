// SPDX-License-Identifier: BSD-2-Clause
/* The rows of one vCPU, in the order in which they leave the machine changed. */
#include "measure.h"

#define MSR_APIC_BASE	 0x1b
#define MSR_TSC_ADJUST	 0x3b
#define MSR_TSC_DEADLINE 0x6e0
#define APIC_EXTENDED	 0x400ull

#define CPUID_X2APIC	   (1u << 21)
#define CPUID_TSC_DEADLINE (1u << 24)
#define CPUID_TSC_ADJUST   (1u << 1) /* leaf 7, EBX */

#define UNKNOWN_HYPERCALL 0x7777

/* --- instructions ------------------------------------------------------------------ */

static void op_cpuid(void)
{
	(void)cpuid(0);
}

/* Neither hypervisor knows this one; it is an error code or #UD, whose handler skips it. */
static void op_vmcall(void)
{
	uint64_t rax = UNKNOWN_HYPERCALL;

	asm volatile("vmcall" : "+a"(rax) : : "memory");
}

static void op_vmmcall(void)
{
	uint64_t rax = UNKNOWN_HYPERCALL;

	asm volatile("vmmcall" : "+a"(rax) : : "memory");
}

static void op_out(void)
{
	outb(BENCH_PORT, 0);
}

static void op_in_kernel(void)
{
	(void)inb(0x21);
}

static void op_mmio_read(void)
{
	(void)*(volatile uint32_t *)BENCH_MMIO;
}

static void op_mmio_write(void)
{
	*(volatile uint32_t *)BENCH_MMIO = 0;
}

static void op_rdmsr(void)
{
	(void)rdmsr(MSR_APIC_BASE);
}

static void op_wrmsr(void)
{
	wrmsr(MSR_TSC_ADJUST, 0);
}

static void measure_instructions(void)
{
	bool amd = cpuid(0).c == 0x444d4163; /* "cAMD" */

	set_gate(6, gate_skip3);
	measure("cpuid", op_cpuid);
	measure("hypercall", amd ? op_vmmcall : op_vmcall);
	measure("out", op_out);
	measure("in-kernel", op_in_kernel);
	measure("mmio-read", op_mmio_read);
	measure("mmio-write", op_mmio_write);
	measure("rdmsr", op_rdmsr);
	if (cpuid(7).b & CPUID_TSC_ADJUST)
		measure("wrmsr-tsc-adjust", op_wrmsr);
}

/* --- the local APIC ------------------------------------------------------------------ */

static void op_xapic_id(void)
{
	(void)apic_read(0x20);
}

static void op_xapic_tpr(void)
{
	apic_write(0x80, 0);
}

static void await_gate(uint64_t before)
{
	while (gate_count == before)
		;
}

static void op_xapic_self_ipi(void)
{
	uint64_t before = gate_count;

	apic_write(0x300, 0x40000 | VECTOR);
	await_gate(before);
}

static void op_x2apic_id(void)
{
	(void)rdmsr(0x802);
}

static void op_x2apic_self_ipi(void)
{
	uint64_t before = gate_count;

	wrmsr(0x83f, VECTOR);
	await_gate(before);
}

static void measure_xapic(void)
{
	apic_enable();
	set_gate(VECTOR, gate_xapic);
	measure("xapic-id", op_xapic_id);
	measure("xapic-tpr", op_xapic_tpr);
	interrupts_on();
	measure("xapic-self-ipi", op_xapic_self_ipi);
	interrupts_off();
}

static void measure_x2apic(void)
{
	if (!(cpuid(1).c & CPUID_X2APIC))
		return;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_EXTENDED);
	set_gate(VECTOR, gate_x2apic);
	measure("x2apic-id", op_x2apic_id);
	interrupts_on();
	measure("x2apic-self-ipi", op_x2apic_self_ipi);
	interrupts_off();
}

/* --- the deadline timer ----------------------------------------------------------------- */

#define DEADLINE_AFTER 40000  /* ticks: the host has armed its timer by then */
#define SPIN_TURNS     100000 /* of two instructions, some time after the deadline */

static void spin_for_a_while(void)
{
	uint32_t turns = SPIN_TURNS;

	asm volatile("1: decl %0; jnz 1b" : "+r"(turns));
}

static uint64_t spin_alone(void)
{
	uint64_t start = rdtsc();

	spin_for_a_while();
	return rdtsc() - start;
}

static uint64_t spin_with_timer(void)
{
	uint64_t start = rdtsc();

	wrmsr(MSR_TSC_DEADLINE, start + DEADLINE_AFTER);
	spin_for_a_while();
	return rdtsc() - start;
}

/* From the deadline to the handler's first instruction. */
static uint64_t ticks_after(uint64_t deadline)
{
	return gate_time > deadline ? gate_time - deadline : 0;
}

static uint64_t latency_running(void)
{
	uint64_t deadline = rdtsc() + DEADLINE_AFTER, before = gate_count;

	wrmsr(MSR_TSC_DEADLINE, deadline);
	await_gate(before);
	return ticks_after(deadline);
}

static uint64_t latency_halted(void)
{
	uint64_t deadline, before = gate_count;

	interrupts_off();
	deadline = rdtsc() + DEADLINE_AFTER;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	while (gate_count == before)
		wait_for_interrupt();
	return ticks_after(deadline);
}

static void measure_timer(void)
{
	if (!(cpuid(1).c & CPUID_TSC_DEADLINE))
		return;
	apic_write(0x320, 2u << 17 | VECTOR);
	interrupts_on();
	report("timer-cost", least(spin_with_timer) - least(spin_alone));
	report("timer-running", least(latency_running));
	report("timer-halted", least(latency_halted));
	interrupts_off();
	apic_write(0x320, 1u << 16);
}

/* --- what should not exit ------------------------------------------------------------------ */

extern uint64_t boot_directories[];

static void op_cr3(void)
{
	write_cr3(read_cr3());
}

/* The first page of the 2 MiB that no row uses is taken away and comes back by #PF. */
#define FAULTING (16 * BENCH_MIB)

static void op_page_fault(void)
{
	*gate_entry = 0;
	invlpg((void *)FAULTING);
	(void)*(volatile uint32_t *)FAULTING;
}

static void measure_paging(void)
{
	measure("cr3", op_cr3);
	gate_entry = &boot_directories[FAULTING / BENCH_PAGE];
	gate_value = *gate_entry;
	set_gate(14, gate_map);
	measure("page-fault", op_page_fault);
}

/* --- memory --------------------------------------------------------------------------------- */

static uint64_t least_touch(uint64_t from)
{
	uint64_t best = ~0ull;

	for (unsigned int i = 0; i < BENCH_PAGES; i++) {
		volatile uint64_t *page = (volatile uint64_t *)(from + i * BENCH_PAGE);
		uint64_t start = rdtsc(), ticks;

		*page = 1;
		ticks = rdtsc() - start;
		best = ticks < best ? ticks : best;
	}
	return best - least(reading);
}

TEST(one)
{
	calibrate();
	measure_instructions();
	measure_paging();
	report("touch-backed", least_touch(BENCH_BACKED));
	report("touch-fresh", least_touch(BENCH_FRESH));
	measure_xapic();
	measure_timer();
	measure_x2apic();
}
