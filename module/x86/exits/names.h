/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of exits that count what FreeBSD's of that name do: what reads `bhyvectl
 * --get-stats` there finds them here. All others are "exit: REASON".
 */
#ifndef X86_EXITS_NAMES_H
#define X86_EXITS_NAMES_H

#define NAME_EXTERNAL_INTERRUPT "vm exits due to external interrupt"
#define NAME_HLT		"number of times hlt was intercepted"
#define NAME_CR_ACCESS		"number of times %cr access was intercepted"
#define NAME_RDMSR		"number of times rdmsr was intercepted"
#define NAME_WRMSR		"number of times wrmsr was intercepted"
#define NAME_MONITOR_TRAP	"number of monitor trap exits"
#define NAME_PAUSE		"number of times pause was intercepted"
#define NAME_INTERRUPT_WINDOW	"vm exits due to interrupt window opening"
#define NAME_NMI_WINDOW		"vm exits due to nmi window opening"
#define NAME_IO			"number of times in/out was intercepted"
#define NAME_CPUID		"number of times cpuid was intercepted"
#define NAME_OTHER		"number of vm exits for unknown reason"

#endif
