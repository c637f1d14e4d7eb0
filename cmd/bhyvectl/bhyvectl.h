/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What bhyvectl's files share: the session that options act on, and the form of
 * an option.
 */
#ifndef BHYVECTL_H
#define BHYVECTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmmapi.h>

#include "common/failure.h"

/* One run of the command. Parameters are complete before any action starts. */
struct session {
	const char *vm_name;
	struct vmctx *ctx; /* NULL for actions without a VM */
	struct vcpu *vcpu; /* --cpu, or 0 */
	int cpu;
	bool cpu_given;
	struct seg_desc desc;	/* --desc-base, -limit, -access */
	const char *capability; /* --capname */
	int nvram_offset;	/* --rtc-nvram-offset; -1: not given */
	struct failure failure; /* why, where errno does not say it */
};

/* When an action runs, whatever place it has among the arguments. */
enum when {
	PARAMETER,  /* while the arguments are read */
	WITHOUT_VM, /* before a VM is opened, in the order given */
	WITH_VM,    /* in the order given */
	AT_END,	    /* when all else is done */
};

struct option;

/*
 * Does what an option asks; 'argument' is NULL for those that take none. Returns
 * 0, or -1 with errno set, or with a sentence from session_fail().
 */
typedef int (*option_action)(struct session *session, const struct option *option,
			     const char *argument);

struct option {
	const char *name;     /* without "--" */
	const char *argument; /* what it takes, for --help; NULL: nothing */
	enum when when;
	option_action act;
	int data;	  /* for the action */
	const char *help; /* NULL: speaks for itself */
};

/* Notes why an action fails, as by printf(), and is -1. */
#define session_fail(session, ...) fail(&(session)->failure, __VA_ARGS__)

/* 0, or -1 after noting that no VM is named, or not by a name. */
int check_vm_name(struct session *session);

/* Reads a number, in any of C's notations, of at most 'max'. */
int parse_number(struct session *session, const char *text, uint64_t max, uint64_t *value);

/* The option called 'name' (any length up to 'length'), in *option; false if there is none. */
bool find_option(const char *name, size_t length, struct option *option);

/* Prints every option, for --help. */
void print_options(void);

/* Registers and segments: get-NAME, set-NAME, get-desc-NAME, set-desc-NAME. */
bool find_register_option(const char *name, size_t length, struct option *option);
void print_register_options(void);
int get_all_registers(struct session *session, const struct option *option, const char *argument);
int get_segments(struct session *session, const struct option *option, const char *argument);

/* Of one vCPU. */
int get_stats(struct session *session, const struct option *option, const char *argument);
int get_capabilities(struct session *session, const struct option *option, const char *argument);
int set_capability(struct session *session, const struct option *option, const char *argument);
int get_intinfo(struct session *session, const struct option *option, const char *argument);
int get_x2apic_state(struct session *session, const struct option *option, const char *argument);
int set_x2apic_state(struct session *session, const struct option *option, const char *argument);
int inject_nmi(struct session *session, const struct option *option, const char *argument);
int assert_lapic_lvt(struct session *session, const struct option *option, const char *argument);
int suspend_cpu(struct session *session, const struct option *option, const char *argument);
int resume_cpu(struct session *session, const struct option *option, const char *argument);

/* Of a whole VM. 'data' of stop_vm is enum vm_suspend_how; of get_cpus, VM_*_CPUS. */
int list_vms(struct session *session, const struct option *option, const char *argument);
int create_vm(struct session *session, const struct option *option, const char *argument);
int destroy_vm(struct session *session, const struct option *option, const char *argument);
int stop_vm(struct session *session, const struct option *option, const char *argument);
int get_cpus(struct session *session, const struct option *option, const char *argument);
int get_topology(struct session *session, const struct option *option, const char *argument);
int get_rtc_time(struct session *session, const struct option *option, const char *argument);
int set_rtc_time(struct session *session, const struct option *option, const char *argument);
int get_rtc_nvram(struct session *session, const struct option *option, const char *argument);
int set_rtc_nvram(struct session *session, const struct option *option, const char *argument);
int get_hpet(struct session *session, const struct option *option, const char *argument);

/* Of its memory. 'data' of get_sysmem is 1 for what lies above 4 GiB. */
int set_memory(struct session *session, const struct option *option, const char *argument);
int get_memory_map(struct session *session, const struct option *option, const char *argument);
int get_segment_list(struct session *session, const struct option *option, const char *argument);
int get_sysmem(struct session *session, const struct option *option, const char *argument);
int get_gpa_pmap(struct session *session, const struct option *option, const char *argument);

/* Devices for guests. */
int list_pptdevs(struct session *session, const struct option *option, const char *argument);
int attach_pptdev(struct session *session, const struct option *option, const char *argument);
int detach_pptdev(struct session *session, const struct option *option, const char *argument);

#endif
