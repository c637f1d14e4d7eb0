// SPDX-License-Identifier: BSD-2-Clause
/*
 * kvm_linux VM_CR KERNEL INITRD COMMAND-LINE: boots Linux under KVM, on an AMD processor in
 * whose VM_CR the firmware has left that value. The kernel's console is to be earlycon, on
 * the serial port, and its end a triple fault.
 *
 * bhyveload's files put the kernel into memory. Of the machine there is what KVM plays, and
 * a serial port that has always sent everything, which is all that earlycon asks of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load.h"

#define MEMORY	      (256 * MIB)
#define CPUID_ENTRIES 128

#define MSR_VM_CR 0xc0010114u

#define SERIAL_DATA	0x3f8
#define SERIAL_LSR	0x3fd
#define LSR_TRANSMITTED 0x60 /* holding and shift register are empty */
#define RTC_DATA	0x71
#define NO_DEVICE	0xff
#define RTC_NO_UPDATE	0x00

struct machine {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint8_t *memory;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("kvm_linux: ", stdout);
	vprintf(format, list);
	putchar('\n');
	va_end(list);
	exit(1);
}

#define NEED(condition)                                             \
	do {                                                        \
		if (!(condition))                                   \
			die("%s: %s", #condition, strerror(errno)); \
	} while (0)

static void create_kvm_machine(struct machine *machine)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	struct kvm_pit_config pit = { 0 };
	size_t run_size;

	NEED((machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) >= 0);
	NEED((machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0)) >= 0);
	NEED(ioctl(machine->vm, KVM_CREATE_IRQCHIP) == 0);
	NEED(ioctl(machine->vm, KVM_CREATE_PIT2, &pit) == 0);
	machine->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	NEED(machine->memory != MAP_FAILED);
	region.userspace_addr = (uintptr_t)machine->memory;
	NEED(ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0);
	NEED((machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0)) >= 0);
	run_size = (size_t)ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	machine->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
	NEED(machine->run != MAP_FAILED);
}

/* All that KVM supports, SVM as well; the APIC's number there is the host's. */
static void set_cpuid(const struct machine *machine)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	NEED(cpuid);
	cpuid->nent = CPUID_ENTRIES;
	NEED(ioctl(machine->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0);
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ebx &= 0x00ffffff;
		if (cpuid->entries[i].function == 0xb)
			cpuid->entries[i].edx = 0;
	}
	NEED(ioctl(machine->vcpu, KVM_SET_CPUID2, cpuid) == 0);
	free(cpuid);
}

/* Read back, since a KVM that ignores unknown MSRs takes every value. */
static void set_vm_cr(const struct machine *machine, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = MSR_VM_CR, .data = value } };

	NEED(ioctl(machine->vcpu, KVM_SET_MSRS, &msrs) == 1);
	msrs.entry.data = ~value;
	NEED(ioctl(machine->vcpu, KVM_GET_MSRS, &msrs) == 1);
	if (msrs.entry.data != value)
		die("VM_CR is %#llx, not %#llx", msrs.entry.data, (unsigned long long)value);
}

static void *map_guest_memory(void *context, uint64_t gpa, size_t length)
{
	uint8_t *memory = context;

	return length > MEMORY || gpa > MEMORY - length ? NULL : memory + gpa;
}

static void load(const struct machine *machine, char **files, struct boot_state *state)
{
	const struct memory_ops ops = { .map = map_guest_memory, .context = machine->memory };
	static struct load_request request;
	static struct guest guest;
	const struct kernel_format *format;

	request.has_initrd = true;
	request.module_count = 1;
	request.modules[0].args = "";
	request.command_line = files[2];
	if (image_open(&request.kernel, files[0], &guest.failure) ||
	    image_open(&request.modules[0].image, files[1], &guest.failure) ||
	    !(format = load_find_format(&request.kernel, &guest.failure)) ||
	    guest_init(&guest, &ops, MEMORY, 0) || format->load(&request, &guest, state))
		die("%s", guest.failure.text);
}

static struct kvm_segment *segment_of(struct kvm_sregs *sregs, enum vm_reg_name reg)
{
	switch (reg) {
	case VM_REG_GUEST_CS:
		return &sregs->cs;
	case VM_REG_GUEST_DS:
		return &sregs->ds;
	case VM_REG_GUEST_ES:
		return &sregs->es;
	case VM_REG_GUEST_FS:
		return &sregs->fs;
	case VM_REG_GUEST_GS:
		return &sregs->gs;
	case VM_REG_GUEST_SS:
		return &sregs->ss;
	case VM_REG_GUEST_TR:
		return &sregs->tr;
	case VM_REG_GUEST_LDTR:
		return &sregs->ldt;
	default:
		return NULL;
	}
}

static struct kvm_segment kvm_segment(const struct boot_segment *segment)
{
	uint32_t access = segment->desc.access;

	return (struct kvm_segment){
		.base = segment->desc.base,
		.limit = segment->desc.limit,
		.selector = segment->selector,
		.type = access & 0xf,
		.s = access >> 4 & 1,
		.dpl = SEG_DESC_DPL(access),
		.present = SEG_DESC_PRESENT(access),
		.l = access >> 13 & 1,
		.db = SEG_DESC_DEF32(access),
		.g = SEG_DESC_GRANULARITY(access),
		.unusable = SEG_DESC_UNUSABLE(access),
	};
}

static void set_segments(struct kvm_sregs *sregs, const struct boot_state *state)
{
	for (unsigned int i = 0; i < state->segment_count; i++) {
		const struct boot_segment *segment = &state->segments[i];
		struct kvm_segment *into = segment_of(sregs, segment->reg);
		struct kvm_dtable table = { .base = segment->desc.base,
					    .limit = (uint16_t)segment->desc.limit };

		if (into)
			*into = kvm_segment(segment);
		else if (segment->reg == VM_REG_GUEST_GDTR)
			sregs->gdt = table;
		else
			sregs->idt = table;
	}
}

static void set_state(const struct machine *machine, const struct boot_state *state)
{
	const struct kvm_regs regs = {
		.rip = state_get(state, VM_REG_GUEST_RIP),
		.rflags = state_get(state, VM_REG_GUEST_RFLAGS),
		.rbx = state_get(state, VM_REG_GUEST_RBX),
		.rsi = state_get(state, VM_REG_GUEST_RSI),
	};
	struct kvm_sregs sregs;

	NEED(ioctl(machine->vcpu, KVM_GET_SREGS, &sregs) == 0);
	sregs.cr0 = state_get(state, VM_REG_GUEST_CR0);
	sregs.cr3 = state_get(state, VM_REG_GUEST_CR3);
	sregs.cr4 = state_get(state, VM_REG_GUEST_CR4);
	sregs.efer = state_get(state, VM_REG_GUEST_EFER);
	set_segments(&sregs, state);
	NEED(ioctl(machine->vcpu, KVM_SET_SREGS, &sregs) == 0);
	NEED(ioctl(machine->vcpu, KVM_SET_REGS, &regs) == 0);
}

static uint8_t read_port(uint16_t port)
{
	switch (port) {
	case SERIAL_LSR:
		return LSR_TRANSMITTED;
	case RTC_DATA:
		return RTC_NO_UPDATE; /* or the kernel waits for the end of one */
	default:
		return NO_DEVICE;
	}
}

static void do_port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t length = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_IN)
		memset(data, read_port(run->io.port), length);
	else if (run->io.port == SERIAL_DATA)
		fwrite(data, 1, length, stdout);
}

/* Returns at the guest's triple fault. */
static void run_guest(const struct machine *machine)
{
	struct kvm_run *run = machine->run;

	for (;;) {
		if (ioctl(machine->vcpu, KVM_RUN, 0) < 0) {
			NEED(errno == EINTR);
			continue;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			do_port(run);
			break;
		case KVM_EXIT_MMIO:
			memset(run->mmio.data, NO_DEVICE, sizeof(run->mmio.data));
			break;
		case KVM_EXIT_SHUTDOWN:
			return;
		default:
			die("unexpected exit %u", run->exit_reason);
		}
	}
}

int main(int argc, char **argv)
{
	struct boot_state state;
	struct machine machine;

	if (argc != 5)
		die("usage: kvm_linux VM_CR KERNEL INITRD COMMAND-LINE");
	setvbuf(stdout, NULL, _IOLBF, 0);
	create_kvm_machine(&machine);
	set_cpuid(&machine);
	set_vm_cr(&machine, strtoull(argv[1], NULL, 0));
	load(&machine, argv + 2, &state);
	set_state(&machine, &state);
	run_guest(&machine);
	return 0;
}
