// SPDX-License-Identifier: BSD-2-Clause
/* libvmmapi as VMMs written for bhyve use it: VM_RUN, and what goes with it. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <machine/vmm_instruction_emul.h>

#include "machine.h"

#define MIB (1ul << 20)
/* Less than real mode reaches: at 512 KiB there is no memory but devices. */
#define SIZE   (512 * 1024)
#define DEVICE 0x88000ul /* segment 0x8800 */

static const uint8_t halt[] = { 0xf4 };

/* Runs with VM_RUN until an exit that is not BOGUS. */
static struct vm_exit run_to_exit(struct machine *machine)
{
	struct vm_exit exit = { 0 };
	struct vm_run vmrun = { .vm_exit = &exit };

	do {
		if (vm_run(machine->vcpu, &vmrun) && errno != EINTR) {
			unit_fail(__FILE__, __LINE__, "VM_RUN: %s", strerror(errno));
			unit_end();
		}
	} while (exit.exitcode == VM_EXITCODE_BOGUS);
	return exit;
}

/* As FreeBSD's bhyve does with -H. */
static void sleep_in_hlt(struct machine *machine)
{
	REQUIRE(vm_set_capability(machine->vcpu, VM_CAP_HALT_EXIT, 1) == 0);
}

/* All vCPUs have halted with interrupts off: the machine has halted for good. */
static void check_halted(struct vm_exit exit)
{
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_HALT);
}

static uint64_t get_register(struct machine *machine, int reg)
{
	uint64_t value = 0;

	CHECK_EQ_AT(vm_get_register(machine->vcpu, reg, &value), 0, "register %d", reg);
	return value;
}

/* --- registers --------------------------------------------------------------------- */

TEST(registers_keep_what_is_set)
{
	static const int names[] = {
		VM_REG_GUEST_RAX,      VM_REG_GUEST_RBX, VM_REG_GUEST_RCX,     VM_REG_GUEST_RDX,
		VM_REG_GUEST_RSI,      VM_REG_GUEST_RDI, VM_REG_GUEST_RBP,     VM_REG_GUEST_RSP,
		VM_REG_GUEST_R8,       VM_REG_GUEST_R9,	 VM_REG_GUEST_R10,     VM_REG_GUEST_R11,
		VM_REG_GUEST_R12,      VM_REG_GUEST_R13, VM_REG_GUEST_R14,     VM_REG_GUEST_R15,
		VM_REG_GUEST_CR2,      VM_REG_GUEST_RIP, VM_REG_GUEST_DR0,     VM_REG_GUEST_DR1,
		VM_REG_GUEST_DR2,      VM_REG_GUEST_DR3, VM_REG_GUEST_FS_BASE, VM_REG_GUEST_GS_BASE,
		VM_REG_GUEST_KGS_BASE,
	};
	enum { COUNT = sizeof(names) / sizeof(names[0]) };
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint64_t values[COUNT], read[COUNT] = { 0 };

	for (int i = 0; i < COUNT; i++)
		values[i] = 0x1000 + (uint64_t)i * 0x11;
	REQUIRE(vm_set_register_set(machine.vcpu, COUNT, names, values) == 0);
	REQUIRE(vm_get_register_set(machine.vcpu, COUNT, names, read) == 0);
	for (int i = 0; i < COUNT; i++) {
		CHECK_EQ_AT(read[i], values[i], "register %d", names[i]);
		CHECK_EQ_AT(get_register(&machine, names[i]), values[i], "register %d", names[i]);
	}
	machine_destroy(&machine);
}

TEST(segments_keep_what_is_set)
{
	static const int names[] = { VM_REG_GUEST_ES, VM_REG_GUEST_CS, VM_REG_GUEST_SS,
				     VM_REG_GUEST_DS, VM_REG_GUEST_FS, VM_REG_GUEST_GS };
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint32_t limit, access;
	uint64_t base;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		REQUIRE(vm_set_desc(machine.vcpu, names[i], 0x10000 * i, 0xffff, 0x93) == 0);
		REQUIRE(vm_get_desc(machine.vcpu, names[i], &base, &limit, &access) == 0);
		CHECK_EQ(base, 0x10000 * i);
		CHECK_EQ(limit, 0xffff);
		CHECK_EQ(access, 0x93);
		REQUIRE(vm_set_register(machine.vcpu, names[i], 0x1230 + i) == 0);
		CHECK_EQ(get_register(&machine, names[i]), 0x1230 + i);
	}
	machine_destroy(&machine);
}

TEST(what_is_no_register_is_refused)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint64_t value;

	CHECK_EQ(vm_get_register(machine.vcpu, -1, &value), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_get_register(machine.vcpu, VM_REG_LAST, &value), -1);
	CHECK_EQ(vm_set_register(machine.vcpu, VM_REG_GUEST_EFER, UINT64_MAX), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_set_desc(machine.vcpu, VM_REG_GUEST_RAX, 0, 0, 0), -1);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}

TEST(reset_leads_to_the_reset_vector)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	struct seg_desc code;

	REQUIRE(vcpu_reset(machine.vcpu) == 0);
	REQUIRE(vm_get_seg_desc(machine.vcpu, VM_REG_GUEST_CS, &code) == 0);
	CHECK_EQ(code.base + get_register(&machine, VM_REG_GUEST_RIP), 0xfffffff0);
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_CR0), 0x60000010);
	machine_destroy(&machine);
}

/* --- VM_RUN --------------------------------------------------------------- */

TEST(port_accesses_are_exits)
{
	static const uint8_t code[] = {
		0xba, 0x34, 0x12,		    /* mov dx, 0x1234 */
		0x66, 0xb8, 0x78, 0x56, 0x34, 0x12, /* mov eax, 0x12345678 */
		0x66, 0xef,			    /* out dx, eax */
		0xe4, 0x99,			    /* in al, 0x99 */
		0x89, 0xc3,			    /* mov bx, ax */
		0xf4,				    /* hlt */
	};
	struct machine machine = machine_create("library", SIZE, code, sizeof(code));
	struct vm_exit exit;

	sleep_in_hlt(&machine);
	exit = run_to_exit(&machine);
	REQUIRE(exit.exitcode == VM_EXITCODE_INOUT);
	CHECK_EQ(exit.u.inout.port, 0x1234);
	CHECK_EQ(exit.u.inout.bytes, 4);
	CHECK_EQ(exit.u.inout.in, 0);
	CHECK_EQ(exit.u.inout.eax, 0x12345678);
	CHECK_EQ(exit.rip, MACHINE_CODE + 9);
	CHECK_EQ(exit.inst_length, 2);

	exit = run_to_exit(&machine);
	REQUIRE(exit.exitcode == VM_EXITCODE_INOUT);
	CHECK_EQ(exit.u.inout.port, 0x99);
	CHECK_EQ(exit.u.inout.bytes, 1);
	CHECK_EQ(exit.u.inout.in, 1);
	REQUIRE(vm_set_register(machine.vcpu, VM_REG_GUEST_RAX, 0x42) == 0);

	exit = run_to_exit(&machine);
	check_halted(exit);
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_RBX), 0x42);
	machine_destroy(&machine);
}

TEST(instructions_can_be_restarted)
{
	static const uint8_t code[] = { 0xe6, 0x77, /* out 0x77, al */ 0xf4 };
	struct machine machine = machine_create("library", SIZE, code, sizeof(code));

	sleep_in_hlt(&machine);
	for (int i = 0; i < 3; i++) {
		struct vm_exit exit = run_to_exit(&machine);

		REQUIRE(exit.exitcode == VM_EXITCODE_INOUT);
		CHECK_EQ(exit.rip, MACHINE_CODE);
		REQUIRE(vm_restart_instruction(machine.vcpu) == 0);
	}
	CHECK_EQ(run_to_exit(&machine).exitcode, VM_EXITCODE_INOUT);
	check_halted(run_to_exit(&machine));
	machine_destroy(&machine);
}

TEST(a_new_rip_is_followed)
{
	static const uint8_t code[] = { 0xe6, 0x77, 0xf4, 0xb0, 0x07, 0xf4 };
	struct machine machine = machine_create("library", SIZE, code, sizeof(code));

	sleep_in_hlt(&machine);
	CHECK_EQ(run_to_exit(&machine).exitcode, VM_EXITCODE_INOUT);
	REQUIRE(vm_set_register(machine.vcpu, VM_REG_GUEST_RIP, MACHINE_CODE + 3) == 0);
	check_halted(run_to_exit(&machine));
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_RAX) & 0xff, 7);
	machine_destroy(&machine);
}

/* --- device memory accesses, by the library's emulator -------------------- */

static uint8_t device[16];

static int device_read(struct vcpu *vcpu, uint64_t gpa, uint64_t *value, int size, void *arg)
{
	(void)vcpu;
	CHECK(arg == device);
	if (gpa < DEVICE || gpa + (unsigned int)size > DEVICE + sizeof(device))
		return ERANGE;
	*value = 0;
	memcpy(value, device + (gpa - DEVICE), (size_t)size);
	return 0;
}

static int device_write(struct vcpu *vcpu, uint64_t gpa, uint64_t value, int size, void *arg)
{
	(void)vcpu;
	CHECK(arg == device);
	if (gpa < DEVICE || gpa + (unsigned int)size > DEVICE + sizeof(device))
		return ERANGE;
	memcpy(device + (gpa - DEVICE), &value, (size_t)size);
	return 0;
}

/* Emulates until the guest halts; returns how many instructions. */
static int run_emulating(struct machine *machine, bool decode_first)
{
	for (int count = 0; count < 100; count++) {
		struct vm_exit exit = run_to_exit(machine);
		struct vie *vie = &exit.u.inst_emul.vie;

		if (exit.exitcode != VM_EXITCODE_INST_EMUL) {
			check_halted(exit);
			return count;
		}
		CHECK(exit.u.inst_emul.gpa >= DEVICE);
		if (decode_first) {
			vie_restart(vie);
			REQUIRE(vmm_decode_instruction(exit.u.inst_emul.paging.cpu_mode,
						       exit.u.inst_emul.cs_d, vie) == 0);
			REQUIRE(vm_set_register(machine->vcpu, VM_REG_GUEST_RIP,
						exit.rip + vie->num_processed) == 0);
		}
		REQUIRE(vmm_emulate_instruction(machine->vcpu, exit.u.inst_emul.gpa, vie,
						&exit.u.inst_emul.paging, device_read, device_write,
						device) == 0);
	}
	unit_fail(__FILE__, __LINE__, "the guest does not end");
	unit_end();
}

static const uint8_t device_code[] = {
	0xb8, 0x00, 0x88,		    /* mov ax, 0x8800 */
	0x8e, 0xd8,			    /* mov ds, ax */
	0x8e, 0xc0,			    /* mov es, ax */
	0xc7, 0x06, 0x04, 0x00, 0xcd, 0xab, /* mov word [4], 0xabcd */
	0x80, 0x06, 0x00, 0x00, 0x05,	    /* add byte [0], 5 */
	0x66, 0x8b, 0x1e, 0x00, 0x00,	    /* mov ebx, [0] */
	0xbf, 0x08, 0x00,		    /* mov di, 8 */
	0xb9, 0x04, 0x00,		    /* mov cx, 4 */
	0xb0, 0x5a,			    /* mov al, 0x5a */
	0xf3, 0xaa,			    /* rep stosb */
	0xf4,				    /* hlt */
};

static void check_device(bool decode_first)
{
	struct machine machine = machine_create("library", SIZE, device_code, sizeof(device_code));

	memset(device, 0, sizeof(device));
	device[0] = 0x10;
	device[1] = 0x20;
	sleep_in_hlt(&machine);
	CHECK(run_emulating(&machine, decode_first) >= 4);
	CHECK_EQ(device[0], 0x15);
	CHECK_EQ(device[4], 0xcd);
	CHECK_EQ(device[5], 0xab);
	CHECK_EQ(device[8], 0x5a);
	CHECK_EQ(device[11], 0x5a);
	CHECK_EQ(device[12], 0);
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_RBX), 0x2015);
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_RCX), 0);
	machine_destroy(&machine);
}

TEST(device_accesses_are_emulated)
{
	check_device(false);
}

TEST(device_accesses_are_emulated_as_bhyve_does_it)
{
	check_device(true);
}

TEST(device_accesses_are_answered_by_reply)
{
	static const uint8_t code[] = {
		0xb8, 0x00, 0x88,	/* mov ax, 0x8800 */
		0x8e, 0xd8,		/* mov ds, ax */
		0xff, 0x06, 0x02, 0x00, /* inc word [2] */
		0xf4,
	};
	struct machine machine = machine_create("library", SIZE, code, sizeof(code));
	struct vm_exit exit;

	sleep_in_hlt(&machine);
	exit = machine_run(&machine);
	REQUIRE(exit.exitcode == VM_EXITCODE_MMIO);
	CHECK_EQ(exit.u.mmio.gpa, DEVICE + 2);
	CHECK_EQ(exit.u.mmio.bytes, 2);
	CHECK_EQ(exit.u.mmio.write, 0);
	REQUIRE(vm_run_reply(machine.vcpu, &exit, true, 0x1234) == 0);
	REQUIRE(exit.exitcode == VM_EXITCODE_MMIO);
	CHECK_EQ(exit.u.mmio.write, 1);
	CHECK_EQ(exit.u.mmio.data, 0x1235);
	check_halted(machine_run(&machine));
	machine_destroy(&machine);
}

/* --- memory --------------------------------------------------------------- */

TEST(device_memory_is_shared_with_the_guest)
{
	static const uint8_t code[] = {
		0xb8, 0x00, 0x90, /* mov ax, 0x9000 */
		0x8e, 0xd8,	  /* mov ds, ax */
		0xa0, 0x10, 0x00, /* mov al, [0x10] */
		0x04, 0x01,	  /* add al, 1 */
		0xa2, 0x11, 0x00, /* mov [0x11], al */
		0xf4,
	};
	struct machine machine = machine_create("library", SIZE, code, sizeof(code));
	uint8_t *memory = vm_create_devmem(machine.ctx, VM_BOOTROM, "rom", 0x1000);

	REQUIRE(memory != MAP_FAILED);
	REQUIRE(vm_mmap_memseg(machine.ctx, 0x90000, VM_BOOTROM, 0, 0x1000, VM_PROT_ALL) == 0);
	memory[0x10] = 0x77;
	sleep_in_hlt(&machine);
	check_halted(run_to_exit(&machine));
	CHECK_EQ(memory[0x11], 0x78);
	CHECK_EQ(vm_munmap_memseg(machine.ctx, 0x90000, 0x1000), 0);
	CHECK_EQ(vm_munmap_memseg(machine.ctx, 0x90000, 0x1000), -1);
	CHECK_EQ(errno, EINVAL);
	munmap(memory, 0x1000);
	machine_destroy(&machine);
}

TEST(mappings_must_not_overlap)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));

	CHECK_EQ(vm_mmap_memseg(machine.ctx, 0x1000, VM_SYSMEM, 0, 0x1000, VM_PROT_ALL), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(vm_mmap_memseg(machine.ctx, 0x90000, VM_SYSMEM, SIZE, 0x1000, VM_PROT_ALL), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_mmap_memseg(machine.ctx, 0x90800, VM_SYSMEM, 0, 0x1000, VM_PROT_ALL), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_mmap_memseg(machine.ctx, 0x90000, VM_BOOTROM, 0, 0x1000, VM_PROT_ALL), -1);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}

TEST(guest_linear_addresses_are_copied)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	struct vm_guest_paging paging = {
		.cpu_mode = CPU_MODE_REAL,
		.paging_mode = PAGING_MODE_FLAT,
	};
	char out[6000], in[6000];
	struct iovec iov[4];
	uint64_t gpa;
	int fault;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i ^ i >> 8);
	CHECK_EQ(vm_gla2gpa(machine.vcpu, &paging, 0x12345, VM_PROT_READ, &gpa, &fault), 0);
	CHECK_EQ(fault, 0);
	CHECK_EQ(gpa, 0x12345);
	REQUIRE(vm_copy_setup(machine.vcpu, &paging, 0x5f00, sizeof(out), VM_PROT_WRITE, iov, 4,
			      &fault) == 0);
	vm_copyout(out, iov, sizeof(out));
	vm_copyin(iov, in, sizeof(in));
	CHECK_MEM(in, out, sizeof(in));
	CHECK_MEM(machine.memory + 0x5f00, out, sizeof(out));
	vm_copy_teardown(iov, 4);
	machine_destroy(&machine);
}

TEST(nested_page_table_is_shown)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint64_t entries[5];
	int count = 0;

	sleep_in_hlt(&machine);
	check_halted(run_to_exit(&machine));
	REQUIRE(vm_get_gpa_pmap(machine.ctx, MACHINE_CODE, entries, &count) == 0);
	CHECK(count >= 3 && count <= 5);
	if (count > 0)
		CHECK(entries[count - 1] & 1);
	machine_destroy(&machine);
}

/* --- the VM's life -------------------------------------------------------- */

TEST(a_running_vm_is_not_reinitialized)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	struct vm_exit exit;

	CHECK_EQ(vm_reinit(machine.ctx), -1);
	CHECK_EQ(errno, EBUSY);
	REQUIRE(vm_suspend(machine.ctx, VM_SUSPEND_RESET) == 0);
	CHECK_EQ(vm_suspend(machine.ctx, VM_SUSPEND_POWEROFF), -1);
	CHECK_EQ(errno, EALREADY);
	exit = run_to_exit(&machine);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_RESET);
	machine.memory[0x4000] = 0x66;
	CHECK_EQ(vm_reinit(machine.ctx), 0);
	CHECK_EQ(machine.memory[0x4000], 0x66);
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_RIP), 0xfff0);
	machine_destroy(&machine);
}

TEST(a_held_vcpu_does_not_run)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	cpuset_t cpus;

	sleep_in_hlt(&machine);
	REQUIRE(vm_active_cpus(machine.ctx, &cpus) == 0);
	CHECK_EQ(CPU_COUNT(&cpus), 1);
	REQUIRE(vm_suspend_cpu(machine.vcpu) == 0);
	REQUIRE(vm_debug_cpus(machine.ctx, &cpus) == 0);
	CHECK_EQ(CPU_FFS(&cpus), 1);
	CHECK_EQ(run_to_exit(&machine).exitcode, VM_EXITCODE_DEBUG);
	CHECK_EQ(get_register(&machine, VM_REG_GUEST_RIP), MACHINE_CODE);
	REQUIRE(vm_resume_all_cpus(machine.ctx) == 0);
	REQUIRE(vm_debug_cpus(machine.ctx, &cpus) == 0);
	CHECK(CPU_EMPTY(&cpus));
	check_halted(run_to_exit(&machine));
	machine_destroy(&machine);
}

TEST(exits_are_counted)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	struct timeval time = { 0 };
	const uint64_t *stats;
	int count, halts = 0;

	sleep_in_hlt(&machine);
	check_halted(run_to_exit(&machine));
	stats = vm_get_stats(machine.vcpu, &time, &count);
	REQUIRE(stats);
	CHECK(time.tv_sec > 0 || time.tv_usec > 0);
	for (int i = 0; i < count; i++) {
		const char *what = vm_get_stat_desc(machine.ctx, i);

		REQUIRE(what);
		if (strcmp(what, "number of times hlt was intercepted") == 0) {
			CHECK_EQ(stats[i], 1);
			halts++;
		}
	}
	CHECK_EQ(halts, 1);
	CHECK(!vm_get_stat_desc(machine.ctx, count));
	machine_destroy(&machine);
}

/* --- devices in the module ------------------------------------------------ */

TEST(device_registers_are_read_and_written)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint64_t value = 0;
	uint32_t capabilities;
	uint8_t byte;
	time_t secs;
	int pins;

	/* The local APIC's version. */
	CHECK_EQ(vm_readwrite_kernemu_device(machine.vcpu, 0xfee00030, false, 4, &value), 0);
	CHECK((value & 0xff) >= 0x10 && (value & 0xff) <= 0x15);
	/* The I/O APIC's index register. */
	value = 1;
	CHECK_EQ(vm_readwrite_kernemu_device(machine.vcpu, 0xfec00000, true, 4, &value), 0);
	value = 0;
	CHECK_EQ(vm_readwrite_kernemu_device(machine.vcpu, 0xfec00000, false, 4, &value), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(vm_readwrite_kernemu_device(machine.vcpu, 0x90000, false, 4, &value), -1);
	CHECK_EQ(errno, EINVAL);

	CHECK_EQ(vm_ioapic_pincount(machine.ctx, &pins), 0);
	CHECK(pins >= 24);
	CHECK_EQ(vm_ioapic_assert_irq(machine.ctx, pins), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_get_hpet_capabilities(machine.ctx, &capabilities), 0);
	CHECK_EQ(capabilities >> 16, 0x8086);
	CHECK_EQ(vm_rtc_write(machine.ctx, 0x20, 0x5c), 0);
	CHECK_EQ(vm_rtc_read(machine.ctx, 0x20, &byte), 0);
	CHECK_EQ(byte, 0x5c);
	CHECK_EQ(vm_rtc_write(machine.ctx, 0, 0), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_rtc_settime(machine.ctx, 1000000000), 0);
	CHECK_EQ(vm_rtc_gettime(machine.ctx, &secs), 0);
	CHECK(secs >= 1000000000 && secs < 1000000010);
	machine_destroy(&machine);
}

TEST(x2apic_is_switched)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	enum x2apic_state state;

	REQUIRE(vm_set_x2apic_state(machine.vcpu, X2APIC_ENABLED) == 0);
	REQUIRE(vm_get_x2apic_state(machine.vcpu, &state) == 0);
	CHECK_EQ(state, X2APIC_ENABLED);
	REQUIRE(vm_set_x2apic_state(machine.vcpu, X2APIC_DISABLED) == 0);
	REQUIRE(vm_get_x2apic_state(machine.vcpu, &state) == 0);
	CHECK_EQ(state, X2APIC_DISABLED);
	machine_destroy(&machine);
}

TEST(mtrrs_are_set)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint64_t value;

	CHECK_EQ(vm_get_mtrr(machine.vcpu, 0x2ff, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(vm_set_mtrr(machine.vcpu, 0x2ff, 0xc06), 0);
	CHECK_EQ(vm_get_mtrr(machine.vcpu, 0x2ff, &value), 0);
	CHECK_EQ(value, 0xc06);
	/* Not a type; not an MTRR. */
	CHECK_EQ(vm_set_mtrr(machine.vcpu, 0x250, 0x02), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_set_mtrr(machine.vcpu, 0x277, 0x06), -1);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}

/* An NMI wakes a halted vCPU, whose vector 2 leads to a port access. */
TEST(nmi_reaches_the_guest)
{
	static const uint8_t code[] = { 0xf4, 0xeb, 0xfd };
	static const uint8_t handler[] = { 0xe6, 0x99, 0xf4 };
	struct machine machine = machine_create("library", SIZE, code, sizeof(code));
	const uint32_t vector = 0x2000; /* 0000:2000 */
	struct vm_exit exit;

	memcpy(machine.memory + 2 * 4, &vector, sizeof(vector));
	memcpy(machine.memory + 0x2000, handler, sizeof(handler));
	REQUIRE(vm_inject_nmi(machine.vcpu) == 0);
	exit = run_to_exit(&machine);
	REQUIRE(exit.exitcode == VM_EXITCODE_INOUT);
	CHECK_EQ(exit.rip, 0x2000);
	machine_destroy(&machine);
}

TEST(exceptions_reach_the_guest)
{
	static const uint8_t handler[] = { 0xe6, 0x99, 0xf4 };
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	const uint32_t vector = 0x2000;

	memcpy(machine.memory + 6 * 4, &vector, sizeof(vector));
	memcpy(machine.memory + 0x2000, handler, sizeof(handler));
	REQUIRE(vm_inject_exception(machine.vcpu, 6, 0, 0, 1) == 0);
	CHECK_EQ(vm_inject_exception(machine.vcpu, 6, 0, 0, 1), -1);
	CHECK_EQ(errno, EBUSY);
	CHECK_EQ(run_to_exit(&machine).rip, 0x2000);
	/* The address of the instruction that was to run is on the stack. */
	CHECK_EQ(*(uint16_t *)(machine.memory + 0xff0 - 6), MACHINE_CODE);
	machine_destroy(&machine);
}

TEST(topology_is_limited)
{
	struct machine machine = machine_create("library", SIZE, halt, sizeof(halt));
	uint16_t sockets, cores, threads, most;

	REQUIRE(vm_get_topology(machine.ctx, &sockets, &cores, &threads, &most) == 0);
	CHECK_EQ(sockets * cores * threads, 1);
	CHECK(most >= 1);
	CHECK_EQ(vm_set_topology(machine.ctx, 1, most, 1, 0), 0);
	REQUIRE(vm_get_topology(machine.ctx, &sockets, &cores, &threads, &most) == 0);
	CHECK_EQ(cores, most);
	CHECK_EQ(vm_set_topology(machine.ctx, 1, (uint16_t)(most + 1), 1, 0), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_set_topology(machine.ctx, 0, 1, 1, 0), -1);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}
