// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of options. Those of single registers are in registers.c.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "bhyvectl.h"

#define NVRAM_LAST 127

static int set_name(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	session->vm_name = argument;
	return 0;
}

static int set_cpu(struct session *session, const struct option *option, const char *argument)
{
	uint64_t cpu;

	(void)option;
	if (parse_number(session, argument, INT_MAX, &cpu))
		return -1;
	session->cpu = (int)cpu;
	session->cpu_given = true;
	return 0;
}

static int set_desc_base(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	return parse_number(session, argument, UINT64_MAX, &session->desc.base);
}

static int set_desc_limit(struct session *session, const struct option *option,
			  const char *argument)
{
	uint64_t value;

	(void)option;
	if (parse_number(session, argument, UINT32_MAX, &value))
		return -1;
	session->desc.limit = (uint32_t)value;
	return 0;
}

static int set_desc_access(struct session *session, const struct option *option,
			   const char *argument)
{
	uint64_t value;

	(void)option;
	if (parse_number(session, argument, UINT32_MAX, &value))
		return -1;
	session->desc.access = (uint32_t)value;
	return 0;
}

static int set_capability_name(struct session *session, const struct option *option,
			       const char *argument)
{
	(void)option;
	if (vm_capability_name2type(argument) < 0)
		return session_fail(session, "there is no capability '%s'", argument);
	session->capability = argument;
	return 0;
}

static int set_nvram_offset(struct session *session, const struct option *option,
			    const char *argument)
{
	uint64_t value;

	(void)option;
	if (parse_number(session, argument, NVRAM_LAST, &value))
		return -1;
	session->nvram_offset = (int)value;
	return 0;
}

static int print_help(struct session *session, const struct option *option, const char *argument)
{
	(void)session;
	(void)option;
	(void)argument;
	printf("usage: bhyvectl --vm=NAME [--cpu=N] OPTION...\n");
	print_options();
	return 0;
}

/* Everything there is to see, from the same functions as the single options. */
static int get_all(struct session *session, const struct option *option, const char *argument)
{
	static const option_action actions[] = {
		get_memory_map,	  get_segment_list, get_all_registers, get_segments,
		get_capabilities, get_intinfo,	    get_x2apic_state,  get_topology,
		get_rtc_time,	  get_hpet,	    get_stats,
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (actions[i](session, option, argument))
			return -1;
	return 0;
}

static const struct option options[] = {
	{ "vm", "NAME", PARAMETER, set_name, 0, "the VM" },
	{ "cpu", "N", PARAMETER, set_cpu, 0, "the vCPU (0)" },
	{ "help", NULL, WITHOUT_VM, print_help, 0, NULL },
	{ "list", NULL, WITHOUT_VM, list_vms, 0, "the VMs of this machine and their users" },
	{ "create", NULL, WITHOUT_VM, create_vm, 0, "create the VM" },
	{ "destroy", NULL, AT_END, destroy_vm, 0, "destroy the VM" },
	{ "ppt-list", NULL, WITHOUT_VM, list_pptdevs, 0, "devices reserved for guests" },
	{ "ppt-attach", "B/S/F", WITHOUT_VM, attach_pptdev, 0,
	  "take a device from its driver, for guests" },
	{ "ppt-detach", "B/S/F", WITHOUT_VM, detach_pptdev, 0, "hand it back to the host" },
	{ "set-mem", "SIZE", WITH_VM, set_memory, 0, "give the VM memory" },
	{ "force-reset", NULL, WITH_VM, stop_vm, VM_SUSPEND_RESET, "stop it as if by reset" },
	{ "force-poweroff", NULL, WITH_VM, stop_vm, VM_SUSPEND_POWEROFF, "stop it at once" },
	{ "inject-nmi", NULL, WITH_VM, inject_nmi, 0, NULL },
	{ "assert-lapic-lvt", "ENTRY", WITH_VM, assert_lapic_lvt, 0,
	  "assert a local interrupt (0 to 6)" },
	{ "suspend-cpu", NULL, WITH_VM, suspend_cpu, 0, "hold the vCPU, or all without --cpu" },
	{ "resume-cpu", NULL, WITH_VM, resume_cpu, 0, "let it go on" },
	{ "get-active-cpus", NULL, WITH_VM, get_cpus, VM_ACTIVE_CPUS, NULL },
	{ "get-suspended-cpus", NULL, WITH_VM, get_cpus, VM_SUSPENDED_CPUS,
	  "those that stopped with the VM" },
	{ "get-debug-cpus", NULL, WITH_VM, get_cpus, VM_DEBUG_CPUS, "those held by --suspend-cpu" },
	{ "get-cpu-topology", NULL, WITH_VM, get_topology, 0, NULL },
	{ "get-all", NULL, WITH_VM, get_all, 0, "all there is to see" },
	{ "get-stats", NULL, WITH_VM, get_stats, 0, "the vCPU's counters" },
	{ "get-memmap", NULL, WITH_VM, get_memory_map, 0, "what lies where in guest memory" },
	{ "get-memseg", NULL, WITH_VM, get_segment_list, 0, "the memory segments" },
	{ "get-lowmem", NULL, WITH_VM, get_sysmem, 0, "system memory below 4 GiB" },
	{ "get-highmem", NULL, WITH_VM, get_sysmem, 1, "system memory above" },
	{ "get-gpa-pmap", "GPA", WITH_VM, get_gpa_pmap, 0, "the nested page table's entries" },
	{ "get-segs", NULL, WITH_VM, get_segments, 0, "all segment registers" },
	{ "get-intinfo", NULL, WITH_VM, get_intinfo, 0, "events in delivery to the guest" },
	{ "get-x2apic-state", NULL, WITH_VM, get_x2apic_state, 0, NULL },
	{ "set-x2apic-state", "0|1", WITH_VM, set_x2apic_state, 0, NULL },
	{ "capname", "NAME", PARAMETER, set_capability_name, 0, "the capability" },
	{ "getcap", NULL, WITH_VM, get_capabilities, 0, "its value, or all without --capname" },
	{ "setcap", "0|1", WITH_VM, set_capability, 0, NULL },
	{ "get-hpet-capabilities", NULL, WITH_VM, get_hpet, 0, NULL },
	{ "get-rtc-time", NULL, WITH_VM, get_rtc_time, 0, NULL },
	{ "set-rtc-time", "SECONDS", WITH_VM, set_rtc_time, 0, "since 1970, UTC" },
	{ "rtc-nvram-offset", "OFFSET", PARAMETER, set_nvram_offset, 0, "0 to 127" },
	{ "get-rtc-nvram", NULL, WITH_VM, get_rtc_nvram, 0, NULL },
	{ "set-rtc-nvram", "BYTE", WITH_VM, set_rtc_nvram, 0, NULL },
	{ "desc-base", "BASE", PARAMETER, set_desc_base, 0, "for --set-desc-" },
	{ "desc-limit", "LIMIT", PARAMETER, set_desc_limit, 0, NULL },
	{ "desc-access", "ACCESS", PARAMETER, set_desc_access, 0, NULL },
};

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

bool find_option(const char *name, size_t length, struct option *option)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (strlen(options[i].name) == length &&
		    memcmp(options[i].name, name, length) == 0) {
			*option = options[i];
			return true;
		}
	}
	return find_register_option(name, length, option);
}

void print_options(void)
{
	char text[64];

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &options[i];

		snprintf(text, sizeof(text), "--%s%s%s", option->name, option->argument ? "=" : "",
			 option->argument ? option->argument : "");
		if (option->help)
			printf("  %-28s %s\n", text, option->help);
		else
			printf("  %s\n", text);
	}
	print_register_options();
}
