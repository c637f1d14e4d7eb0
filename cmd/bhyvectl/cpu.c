// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options about one vCPU.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "bhyvectl.h"

/* The last entry of the local vector table, as vm_lapic_local_irq() numbers them. */
#define LVT_LAST 6

int get_stats(struct session *session, const struct option *option, const char *argument)
{
	const uint64_t *stats;
	int count;

	(void)option;
	(void)argument;
	stats = vm_get_stats(session->vcpu, NULL, &count);
	if (!stats)
		return -1;
	printf("vcpu%d stats:\n", session->cpu);
	for (int i = 0; i < count; i++) {
		const char *what = vm_get_stat_desc(session->ctx, i);

		if (!what)
			return -1;
		printf("%-40s\t%" PRIu64 "\n", what, stats[i]);
	}
	return 0;
}

static int get_capability(struct session *session, int type)
{
	int value;

	if (vm_get_capability(session->vcpu, (enum vm_cap_type)type, &value))
		return -1;
	printf("Capability \"%s\" is %s on vcpu %d\n", vm_capability_type2name(type),
	       value ? "set" : "not set", session->cpu);
	return 0;
}

/* Says what errno means here. */
static int capability_result(struct session *session, int result)
{
	if (result && errno == ENOENT)
		return session_fail(session, "this host does not have it");
	if (result && errno == EINVAL)
		return session_fail(session, "it can only be read");
	return result;
}

int get_capabilities(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	(void)argument;
	if (session->capability)
		return capability_result(
			session,
			get_capability(session, vm_capability_name2type(session->capability)));
	for (int type = 0; type < VM_CAP_MAX; type++)
		if (get_capability(session, type)) {
			/* This machine lacks it: the next one may be there. */
			if (errno != ENOENT)
				return -1;
			printf("Capability \"%s\" is not available\n",
			       vm_capability_type2name(type));
		}
	return 0;
}

int set_capability(struct session *session, const struct option *option, const char *argument)
{
	enum vm_cap_type type;
	uint64_t value;

	(void)option;
	if (!session->capability)
		return session_fail(session, "which capability? (--capname)");
	if (parse_number(session, argument, 1, &value))
		return -1;
	type = (enum vm_cap_type)vm_capability_name2type(session->capability);
	return capability_result(session, vm_set_capability(session->vcpu, type, (int)value));
}

static void print_intinfo(int cpu, const char *name, uint64_t info)
{
	if (!(info & VM_INTINFO_VALID)) {
		printf("%s[%d]\tnone\n", name, cpu);
		return;
	}
	printf("%s[%d]\t0x%016" PRIx64 " (%s, vector %u", name, cpu, info,
	       (info & VM_INTINFO_TYPE) == VM_INTINFO_HWINTR	  ? "interrupt" :
	       (info & VM_INTINFO_TYPE) == VM_INTINFO_NMI	  ? "NMI" :
	       (info & VM_INTINFO_TYPE) == VM_INTINFO_HWEXCEPTION ? "exception" :
								    "software interrupt",
	       (unsigned int)VM_INTINFO_VECTOR(info));
	if (info & VM_INTINFO_DEL_ERRCODE)
		printf(", error code %#x", (unsigned int)(info >> 32));
	printf(")\n");
}

int get_intinfo(struct session *session, const struct option *option, const char *argument)
{
	uint64_t info1;
	uint64_t info2;

	(void)option;
	(void)argument;
	if (vm_get_intinfo(session->vcpu, &info1, &info2))
		return -1;
	print_intinfo(session->cpu, "interrupted", info1);
	print_intinfo(session->cpu, "pending", info2);
	return 0;
}

int get_x2apic_state(struct session *session, const struct option *option, const char *argument)
{
	enum x2apic_state state;

	(void)option;
	(void)argument;
	if (vm_get_x2apic_state(session->vcpu, &state))
		return -1;
	printf("x2apic_state[%d]\t%d\n", session->cpu, (int)state);
	return 0;
}

int set_x2apic_state(struct session *session, const struct option *option, const char *argument)
{
	uint64_t value;

	(void)option;
	if (parse_number(session, argument, X2APIC_STATE_LAST - 1, &value))
		return -1;
	return vm_set_x2apic_state(session->vcpu, (enum x2apic_state)value);
}

int inject_nmi(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	(void)argument;
	return vm_inject_nmi(session->vcpu);
}

int assert_lapic_lvt(struct session *session, const struct option *option, const char *argument)
{
	uint64_t entry;

	(void)option;
	if (parse_number(session, argument, LVT_LAST, &entry))
		return -1;
	return vm_lapic_local_irq(session->vcpu, (int)entry);
}

int suspend_cpu(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	(void)argument;
	return session->cpu_given ? vm_suspend_cpu(session->vcpu) :
				    vm_suspend_all_cpus(session->ctx);
}

int resume_cpu(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	(void)argument;
	return session->cpu_given ? vm_resume_cpu(session->vcpu) : vm_resume_all_cpus(session->ctx);
}
