/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with a command line that getopt_long() reads. */
#ifndef COMMON_ARGUMENTS_H
#define COMMON_ARGUMENTS_H

#include "common/failure.h"

#include <getopt.h>

/* The only long option of commands with options of one letter. */
extern const struct option help_option[];

/*
 * Notes what getopt_long() has just refused with 'result' (':' or '?'), opterr
 * being 0 and the list of options beginning with ':'. Returns -1.
 */
int argument_refused(struct failure *failure, int result, char **argv);

/*
 * The one argument that must follow the options, which 'what' names: a VM. NULL
 * after noting that there is none, or more.
 */
const char *argument_only(struct failure *failure, int argc, char **argv, const char *what);

#endif
