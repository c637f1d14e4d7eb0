// SPDX-License-Identifier: BSD-2-Clause
/* The same through libvmmapi, as bhyve does it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vmmapi.h>

#include "runner.h"

/* Flat segments of a kernel: 64-bit code, data; and a busy TSS. */
#define ACCESS_CODE 0xa09b
#define ACCESS_DATA 0xc093
#define ACCESS_TSS  0x8b

struct machine {
	struct vmctx *ctx;
	unsigned int vcpus;
	struct vcpu *vcpu[MOST_VCPUS];
	struct vm_exit exit[MOST_VCPUS];
};

static void vmm_machine_destroy(struct machine *machine)
{
	for (unsigned int i = 0; i < machine->vcpus; i++)
		vm_vcpu_close(machine->vcpu[i]);
	vm_destroy(machine->ctx);
	free(machine);
}

static struct machine *vmm_machine_create(unsigned int vcpus)
{
	static unsigned int number;
	struct machine *machine = calloc(1, sizeof(*machine));
	char name[32];

	snprintf(name, sizeof(name), "bench%u", number++);
	machine->vcpus = vcpus;
	NEED((machine->ctx = vm_openf(name, VMMAPI_OPEN_CREATE)) != NULL);
	for (unsigned int i = 0; i < vcpus; i++) {
		NEED((machine->vcpu[i] = vm_vcpu_open(machine->ctx, (int)i)) != NULL);
		NEED(vm_activate_cpu(machine->vcpu[i]) == 0);
	}
	return machine;
}

static char *add_memory(struct machine *machine)
{
	char *memory;

	NEED(vm_setup_memory(machine->ctx, BENCH_MEMORY, VM_MMAP_ALL) == 0);
	NEED((memory = vm_map_gpa(machine->ctx, 0, BENCH_MEMORY)) != NULL);
	return memory;
}

static void set_segment(struct vcpu *vcpu, int reg, uint16_t selector, uint32_t access)
{
	NEED(vm_set_desc(vcpu, reg, 0, 0xffffffff, access) == 0);
	NEED(vm_set_register(vcpu, reg, selector) == 0);
}

static void set_entry(struct machine *machine)
{
	struct vcpu *vcpu = machine->vcpu[0];

	for (unsigned int i = 0; i < machine->vcpus; i++)
		NEED(vm_set_x2apic_state(machine->vcpu[i], X2APIC_ENABLED) == 0);
	NEED(vm_set_register(vcpu, VM_REG_GUEST_EFER, BENCH_EFER) == 0);
	NEED(vm_set_register(vcpu, VM_REG_GUEST_CR4, BENCH_CR4) == 0);
	NEED(vm_set_register(vcpu, VM_REG_GUEST_CR3, BENCH_TABLES) == 0);
	NEED(vm_set_register(vcpu, VM_REG_GUEST_CR0, BENCH_CR0) == 0);
	set_segment(vcpu, VM_REG_GUEST_CS, 0x08, ACCESS_CODE);
	set_segment(vcpu, VM_REG_GUEST_DS, 0x10, ACCESS_DATA);
	set_segment(vcpu, VM_REG_GUEST_ES, 0x10, ACCESS_DATA);
	set_segment(vcpu, VM_REG_GUEST_FS, 0x10, ACCESS_DATA);
	set_segment(vcpu, VM_REG_GUEST_GS, 0x10, ACCESS_DATA);
	set_segment(vcpu, VM_REG_GUEST_SS, 0x10, ACCESS_DATA);
	NEED(vm_set_desc(vcpu, VM_REG_GUEST_TR, 0, 0x67, ACCESS_TSS) == 0);
	NEED(vm_set_register(vcpu, VM_REG_GUEST_RDI, BENCH_START_INFO) == 0);
	NEED(vm_set_register(vcpu, VM_REG_GUEST_RIP, BENCH_IMAGE) == 0);
}

/* False: not an exit that userspace has to handle. */
static bool read_exit(const struct vm_exit *exit, struct access *access)
{
	switch (exit->exitcode) {
	case VM_EXITCODE_INOUT:
		*access = (struct access){
			.address = exit->u.inout.port,
			.value = exit->u.inout.eax,
			.size = exit->u.inout.bytes,
			.port = true,
			.write = !exit->u.inout.in,
		};
		return true;
	case VM_EXITCODE_MMIO:
		*access = (struct access){
			.address = exit->u.mmio.gpa,
			.value = exit->u.mmio.data,
			.size = exit->u.mmio.bytes,
			.write = exit->u.mmio.write,
		};
		return true;
	case VM_EXITCODE_BOGUS:
		return false;
	default:
		die("vmm: exit %d", exit->exitcode);
	}
}

static void run_vcpu(struct machine *machine, unsigned int vcpu, struct access *access)
{
	struct vm_exit *exit = &machine->exit[vcpu];
	bool reply = !access->write;

	for (;;) {
		if (vm_run_reply(machine->vcpu[vcpu], exit, reply, access->value)) {
			NEED(errno == EINTR);
			continue;
		}
		reply = false;
		if (read_exit(exit, access))
			return;
	}
}

static void vmm_machine_stop(struct machine *machine)
{
	NEED(vm_suspend(machine->ctx, VM_SUSPEND_POWEROFF) == 0);
}

static void run_stopped(struct machine *machine)
{
	struct vm_exit exit;

	NEED(vm_run_reply(machine->vcpu[0], &exit, false, 0) == 0);
}

/* A number the module does not know. */
static void null_ioctl(struct machine *machine)
{
	NEED(ioctl(vm_get_device_fd(machine->ctx), _IO('V', 255)) < 0 && errno == ENOTTY);
}

const struct hypervisor vmm = {
	.name = "vmm",
	.create = vmm_machine_create,
	.destroy = vmm_machine_destroy,
	.add_memory = add_memory,
	.set_entry = set_entry,
	.run = run_vcpu,
	.stop = vmm_machine_stop,
	.run_stopped = run_stopped,
	.null_ioctl = null_ioctl,
};
