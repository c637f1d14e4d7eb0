/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be loaded, and the kinds of kernels there are.
 */
#ifndef BHYVELOAD_LOAD_H
#define BHYVELOAD_LOAD_H

#include <stdbool.h>

#include "guest.h"
#include "image.h"
#include "state.h"

#define MOST_MODULES 64

struct module {
	struct image image;
	const char *args; /* never NULL */
};

/* An initrd is modules[0] with has_initrd set. */
struct load_request {
	struct image kernel;
	const char *command_line; /* never NULL */
	bool has_initrd;
	struct module modules[MOST_MODULES];
	unsigned int module_count;
};

struct kernel_format {
	const char *name;
	/* Is the image of this format? No more than a look; no failure is noted. */
	bool (*probe)(const struct image *kernel);
	/* Puts all of the request into the guest and says how vCPU 0 starts. */
	int (*load)(const struct load_request *request, struct guest *guest,
		    struct boot_state *state);
};

extern const struct kernel_format linux_format;	    /* linux.c */
extern const struct kernel_format multiboot_format; /* multiboot.c */
extern const struct kernel_format pvh_format;	    /* pvh.c */

/* The kernel's format; a failure that says what the file looks like if none. */
const struct kernel_format *load_find_format(const struct image *kernel, struct failure *failure);

#endif
