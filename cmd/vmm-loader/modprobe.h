/* SPDX-License-Identifier: BSD-2-Clause */
/* The call of modprobe that a loader.conf results in. */
#ifndef VMM_LOADER_MODPROBE_H
#define VMM_LOADER_MODPROBE_H

#include "conf.h"

#include <stdio.h>

/* "maxcpu=", and one for each limit and each list of devices. */
#define MODPROBE_PARAMETERS (1 + CONF_LIMITS + CONF_PPT_LISTS)

struct modprobe {
	char parameters[MODPROBE_PARAMETERS][CONF_PPT_LENGTH + 32]; /* "NAME=VALUE" */
	unsigned int count;
};

void modprobe_init(struct modprobe *modprobe, const struct conf *conf);

/* Prints the command as a shell reads it. */
void modprobe_print_command(const struct modprobe *modprobe, FILE *file);

/* Prints it as modprobe.d(5) has it, or nothing if there are no parameters. */
void modprobe_print_options(const struct modprobe *modprobe, FILE *file);

/* Runs it. Returns its exit status, 128 and more if a signal ended it, or -errno. */
int modprobe_run(struct modprobe *modprobe);

#endif
