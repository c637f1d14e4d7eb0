/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs as people read them. */
#ifndef COMMON_CPU_LIST_H
#define COMMON_CPU_LIST_H

#include <sched.h>
#include <stddef.h>

/* "0-3,5": the CPUs of a set, "none" if it is empty; cut to fit. Returns 'text'. */
const char *cpu_list_format(const cpu_set_t *cpus, char *text, size_t size);

#endif
