// SPDX-License-Identifier: BSD-2-Clause
/* The smallest userspace that runs the payload under KVM. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"

#define CPUID_ENTRIES	   128
#define CPUID_TSC_DEADLINE (1u << 24)
#define TSS_ADDRESS	   0xfffbd000ul /* three pages that VMX without unrestricted guest needs */

struct machine {
	int kvm, vm;
	unsigned int vcpus;
	int vcpu[MOST_VCPUS];
	struct kvm_run *run[MOST_VCPUS];
	size_t run_size;
	char *memory, *reserved;
};

static void kvm_machine_destroy(struct machine *machine)
{
	for (unsigned int i = 0; i < machine->vcpus; i++) {
		munmap(machine->run[i], machine->run_size);
		close(machine->vcpu[i]);
	}
	close(machine->vm);
	close(machine->kvm);
	if (machine->reserved)
		munmap(machine->reserved, BENCH_MEMORY + BENCH_PAGE);
	free(machine);
}

static struct machine *kvm_machine_create(unsigned int vcpus)
{
	struct kvm_pit_config pit = { 0 };
	struct machine *machine = calloc(1, sizeof(*machine));

	machine->vcpus = vcpus;
	NEED((machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) >= 0);
	NEED((machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0)) >= 0);
	NEED(ioctl(machine->vm, KVM_CREATE_IRQCHIP) == 0);
	NEED(ioctl(machine->vm, KVM_CREATE_PIT2, &pit) == 0);
	machine->run_size = (size_t)ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	for (unsigned int i = 0; i < vcpus; i++) {
		NEED((machine->vcpu[i] = ioctl(machine->vm, KVM_CREATE_VCPU, i)) >= 0);
		machine->run[i] = mmap(NULL, machine->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				       machine->vcpu[i], 0);
		NEED(machine->run[i] != MAP_FAILED);
	}
	return machine;
}

/* Memory as QEMU gives it: anonymous, in large pages where the host can. */
static char *add_memory(struct machine *machine)
{
	struct kvm_userspace_memory_region region = { .memory_size = BENCH_MEMORY };

	machine->reserved = mmap(NULL, BENCH_MEMORY + BENCH_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	NEED(machine->reserved != MAP_FAILED);
	machine->memory = (char *)(((uintptr_t)machine->reserved + BENCH_PAGE - 1) &
				   ~(uintptr_t)(BENCH_PAGE - 1));
	NEED(madvise(machine->memory, BENCH_MEMORY, MADV_HUGEPAGE) == 0);
	region.userspace_addr = (uintptr_t)machine->memory;
	NEED(ioctl(machine->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS) == 0);
	NEED(ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0);
	return machine->memory;
}

/* What KVM supports, and the deadline timer, which is its APIC's. */
static void set_cpuid(const struct machine *machine, unsigned int vcpu)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	cpuid->nent = CPUID_ENTRIES;
	NEED(ioctl(machine->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0);
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 1) {
			entry->ebx = (entry->ebx & 0x00ffffff) | vcpu << 24;
			entry->ecx |= CPUID_TSC_DEADLINE;
		} else if (entry->function == 0xb) {
			entry->edx = vcpu;
		}
	}
	NEED(ioctl(machine->vcpu[vcpu], KVM_SET_CPUID2, cpuid) == 0);
	free(cpuid);
}

static void set_entry(struct machine *machine)
{
	struct kvm_segment data = { .limit = 0xffffffff,
				    .selector = 0x10,
				    .type = 3,
				    .present = 1,
				    .db = 1,
				    .s = 1,
				    .g = 1 };
	struct kvm_regs regs = { .rip = BENCH_IMAGE, .rdi = BENCH_START_INFO, .rflags = 2 };
	struct kvm_sregs sregs;

	for (unsigned int i = 0; i < machine->vcpus; i++)
		set_cpuid(machine, i);
	NEED(ioctl(machine->vcpu[0], KVM_GET_SREGS, &sregs) == 0);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 0xb;
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	sregs.cr0 = BENCH_CR0;
	sregs.cr3 = BENCH_TABLES;
	sregs.cr4 = BENCH_CR4;
	sregs.efer = BENCH_EFER;
	NEED(ioctl(machine->vcpu[0], KVM_SET_SREGS, &sregs) == 0);
	NEED(ioctl(machine->vcpu[0], KVM_SET_REGS, &regs) == 0);
}

static void read_port_exit(struct kvm_run *run, struct access *access)
{
	*access = (struct access){
		.address = run->io.port,
		.size = run->io.size,
		.port = true,
		.write = run->io.direction == KVM_EXIT_IO_OUT,
	};
	if (access->write)
		memcpy(&access->value, (char *)run + run->io.data_offset, access->size);
}

static void read_mmio_exit(const struct kvm_run *run, struct access *access)
{
	*access = (struct access){
		.address = run->mmio.phys_addr,
		.size = run->mmio.len,
		.write = run->mmio.is_write,
	};
	if (access->write)
		memcpy(&access->value, run->mmio.data, sizeof(access->value));
}

static void reply_to_exit(struct kvm_run *run, const struct access *access)
{
	void *to = access->port ? (char *)run + run->io.data_offset : (char *)run->mmio.data;

	memcpy(to, &access->value, access->size);
}

/* Says where the guest was; never returns. */
static void die_of_unexpected_exit(struct machine *machine, unsigned int vcpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	NEED(ioctl(machine->vcpu[vcpu], KVM_GET_SREGS, &sregs) == 0);
	NEED(ioctl(machine->vcpu[vcpu], KVM_GET_REGS, &regs) == 0);
	die("KVM: exit %u at rip %#llx, rsp %#llx, cr0 %#llx, cr2 %#llx, cr4 %#llx, efer %#llx",
	    machine->run[vcpu]->exit_reason, regs.rip, regs.rsp, sregs.cr0, sregs.cr2, sregs.cr4,
	    sregs.efer);
}

static void run_vcpu(struct machine *machine, unsigned int vcpu, struct access *access)
{
	struct kvm_run *run = machine->run[vcpu];

	if (!access->write)
		reply_to_exit(run, access);
	for (;;) {
		if (ioctl(machine->vcpu[vcpu], KVM_RUN, 0) < 0) {
			NEED(errno == EINTR || errno == EAGAIN);
			continue;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			read_port_exit(run, access);
			return;
		case KVM_EXIT_MMIO:
			read_mmio_exit(run, access);
			return;
		default:
			die_of_unexpected_exit(machine, vcpu);
		}
	}
}

static void kvm_machine_stop(struct machine *machine)
{
	machine->run[0]->immediate_exit = 1;
}

static void run_stopped(struct machine *machine)
{
	NEED(ioctl(machine->vcpu[0], KVM_RUN, 0) < 0 && errno == EINTR);
}

static void null_ioctl(struct machine *machine)
{
	NEED(ioctl(machine->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
}

const struct hypervisor kvm = {
	.name = "kvm",
	.create = kvm_machine_create,
	.destroy = kvm_machine_destroy,
	.add_memory = add_memory,
	.set_entry = set_entry,
	.run = run_vcpu,
	.stop = kvm_machine_stop,
	.run_stopped = run_stopped,
	.null_ioctl = null_ioctl,
};
