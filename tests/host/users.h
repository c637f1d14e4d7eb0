/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's users, played by a test: alice and bob are in group vmm, mallory is not. */
#ifndef TESTS_HOST_USERS_H
#define TESTS_HOST_USERS_H

#include <sys/types.h>

uid_t user_uid(const char *name);
/* Become that user for good. Requires success. */
void user_become(const char *name);
/* In a child that is 'name': the errno of an action, 0 if it succeeded. */
int as(const char *name, int (*action)(void));

#endif
