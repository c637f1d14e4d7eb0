// SPDX-License-Identifier: BSD-2-Clause
/* Statistics: counters of a vCPU, and their names. */
#include "api/handlers.h"

#include "vm/vcpu.h"

static void timeval_from_ns(uint64_t nanoseconds, struct vm_timeval *time)
{
	time->tv_sec = (int64_t)(nanoseconds / 1000000000);
	time->tv_usec = (int64_t)(nanoseconds % 1000000000 / 1000);
}

/* What is of the VM is vCPU 0's, as with FreeBSD: a sum over all vCPUs counts it once. */
static uint64_t vm_statistic(struct vm *vm, unsigned int index)
{
	uint64_t resident, wired;

	memory_usage(vm, &resident, &wired);
	return index == STAT_RESIDENT ? resident : wired;
}

static uint64_t vcpu_statistic(struct vcpu *vcpu, unsigned int index)
{
	if (vcpu->id == 0 && (index == STAT_RESIDENT || index == STAT_WIRED))
		return vm_statistic(vcpu->vm, index);
	return READ_ONCE(vcpu->stats[index]);
}

/* Read while the vCPU runs: each counter is one word, so none is torn. */
int ioctl_stats(struct vm *vm, void *arg)
{
	struct vm_stats *stats = arg;
	struct vcpu *vcpu = vm_vcpu(vm, stats->cpuid);
	unsigned int count = stats_count();

	if (!vcpu || stats->index < 0)
		return -EINVAL;
	stats->num_entries = 0;
	for (unsigned int i = (unsigned int)stats->index;
	     i < count && stats->num_entries < MAX_VM_STATS; i++)
		stats->statbuf[stats->num_entries++] = vcpu_statistic(vcpu, i);
	timeval_from_ns(os_now_ns(), &stats->tv);
	return 0;
}

int ioctl_stat_desc(struct vm *vm, void *arg)
{
	struct vm_stat_desc *desc = arg;
	const char *name = desc->index < 0 ? NULL : stats_name((unsigned int)desc->index);

	(void)vm;
	if (!name)
		return -EINVAL;
	strscpy(desc->desc, name, sizeof(desc->desc));
	return 0;
}
