// SPDX-License-Identifier: BSD-2-Clause
/*
 * The VM that is loaded. Errors from the library become sentences here, where it
 * is known what was tried.
 */
#include "target.h"
#include "common/vm_name.h"

#include <errno.h>
#include <string.h>

static int access_failed(const char *name, struct failure *failure)
{
	return fail(failure, "%s: %s", name, vm_access_problem(errno));
}

static int reset_existing(struct target *target, const char *name, struct failure *failure)
{
	if (vm_reinit(target->ctx) == 0)
		return 0;
	if (errno == EBUSY)
		return fail(failure,
			    "%s: it exists and has not stopped (bhyvectl --destroy ends it)", name);
	return fail(failure, "%s: cannot reset the VM: %s", name, strerror(errno));
}

static int open_or_create(struct target *target, const char *name, struct failure *failure)
{
	target->ctx = vm_open(name);
	if (target->ctx)
		return reset_existing(target, name, failure);
	if (errno != ENOENT || vm_create(name))
		return access_failed(name, failure);
	target->created = true;
	target->ctx = vm_open(name);
	return target->ctx ? 0 : access_failed(name, failure);
}

static int setup_memory(struct target *target, const char *name, size_t size,
			struct failure *failure)
{
	char segment[VM_MAX_SUFFIXLEN + 1];
	size_t existing;

	if (vm_setup_memory(target->ctx, size, VM_MMAP_ALL) == 0)
		return 0;
	if (errno == EINVAL && !target->created &&
	    vm_get_memseg(target->ctx, VM_SYSMEM, &existing, segment, sizeof(segment)) == 0 &&
	    existing != 0)
		return fail(failure,
			    "%s: the VM exists already with %zu MiB of memory; destroy it first",
			    name, (size_t)(existing / MIB));
	return fail(failure, "%s: no %zu MiB of memory for the VM: %s", name, (size_t)(size / MIB),
		    strerror(errno));
}

static int check_size(size_t size, struct failure *failure)
{
	unsigned long long present = host_memory_size();

	if (size < LEAST_MEMORY)
		return fail(failure, "memory: %zu KiB are too few for any kernel",
			    (size_t)(size / KIB));
	if (size > present)
		return fail(failure, "memory: %zu MiB are more than the %llu MiB of this machine",
			    (size_t)(size / MIB), present / MIB);
	return 0;
}

int target_open(struct target *target, const char *name, size_t size, int memflags,
		struct failure *failure)
{
	*target = (struct target){ 0 };
	if (check_size(size, failure))
		return -1;
	if (open_or_create(target, name, failure) == 0) {
		vm_set_memflags(target->ctx, memflags);
		if (setup_memory(target, name, size, failure) == 0)
			return 0;
	}
	if (!target->ctx && target->created)
		vm_destroy_name(name);
	target_close(target, true);
	return -1;
}

void target_close(struct target *target, bool failed)
{
	if (!target->ctx)
		return;
	if (failed && target->created)
		vm_destroy(target->ctx);
	else
		vm_close(target->ctx);
	target->ctx = NULL;
}

static void *map_gpa(void *context, uint64_t gpa, size_t length)
{
	return vm_map_gpa(context, gpa, length);
}

int target_guest(struct target *target, struct guest *guest)
{
	const struct memory_ops memory = { .map = map_gpa, .context = target->ctx };

	return guest_init(guest, &memory, vm_get_lowmem_size(target->ctx),
			  vm_get_highmem_size(target->ctx));
}

static bool has_selector(enum vm_reg_name reg)
{
	return reg != VM_REG_GUEST_GDTR && reg != VM_REG_GUEST_IDTR;
}

static int set_vcpu_segments(struct vcpu *vcpu, const struct boot_state *state)
{
	for (unsigned int i = 0; i < state->segment_count; i++) {
		const struct boot_segment *segment = &state->segments[i];

		if (vm_set_desc(vcpu, segment->reg, segment->desc.base, segment->desc.limit,
				segment->desc.access))
			return -1;
		if (has_selector(segment->reg) &&
		    vm_set_register(vcpu, segment->reg, segment->selector))
			return -1;
	}
	return 0;
}

static int set_vcpu(struct vcpu *vcpu, const struct boot_state *state)
{
	uint64_t values[MOST_BOOT_REGISTERS];

	memcpy(values, state->values, sizeof(values));
	if (vcpu_reset(vcpu) ||
	    vm_set_register_set(vcpu, state->register_count, state->regs, values))
		return -1;
	return set_vcpu_segments(vcpu, state);
}

int target_set_state(struct target *target, const struct boot_state *state, struct failure *failure)
{
	struct vcpu *vcpu = vm_vcpu_open(target->ctx, 0);
	int error = vcpu ? set_vcpu(vcpu, state) : -1;

	if (error)
		failure_note(failure, "%s: cannot set up vCPU 0: %s", vm_get_name(target->ctx),
			     strerror(errno));
	if (vcpu)
		vm_vcpu_close(vcpu);
	return error;
}
