/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of os/user. */
#ifndef OS_USER_INTERNAL_H
#define OS_USER_INTERNAL_H

#include "os/os.h"

/* The part of os_user_reset() that each file does. */
void os_user_memory_reset(void);
void os_user_clock_reset(void);
void os_user_sync_reset(void);
void os_user_cpu_reset(void);
void os_user_cpuid_reset(void);
void os_user_pci_reset(void);

/* Advance the clock to the next timer and run those that expire; false when none is armed. */
bool os_user_clock_jump(void);
/* Whether os_user_idle_advances() is on. */
bool os_user_clock_idle_advances(void);

/* Prints the message and aborts: the code under test has broken a rule. */
void os_user_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
