/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What loader.conf says about vmm. The file has FreeBSD's syntax, loader.conf(5):
 * each line is empty, a comment, or NAME="VALUE", where the quotes may be missing
 * around a plain word. It may hold lines for other software, which are ignored.
 */
#ifndef VMM_LOADER_CONF_H
#define VMM_LOADER_CONF_H

#include <stdbool.h>
#include <stddef.h>

#define CONF_MAXCPU_LIMIT 255
#define CONF_LIMITS	  4    /* hw.vmm.user_memory_max and the like */
#define CONF_PPT_LISTS	  3    /* pptdevs, pptdevs2, pptdevs3 */
#define CONF_PPT_LENGTH	  1024 /* the longest string the kernel takes as a parameter */

struct conf {
	bool load;			  /* vmm_load is YES */
	unsigned int maxcpu;		  /* hw.vmm.maxcpu; 0: not said */
	unsigned int limits[CONF_LIMITS]; /* 0: not said */
	/* The entries that are well-formed, with one space between; "": none. */
	char pptdevs[CONF_PPT_LISTS][CONF_PPT_LENGTH + 1];
};

/* Callbacks while the file is read. */
struct conf_listener {
	/* A line, or a part of its value, means nothing; the rest of the file still does. */
	void (*problem)(void *context, unsigned int line, const char *text);
	/* A line for other software. May be NULL. */
	void (*ignored)(void *context, unsigned int line, const char *name);
	void *context;
};

/* Reads the text of a loader.conf. Of several lines for one name the last counts. */
void conf_parse(struct conf *conf, const char *text, size_t length,
		const struct conf_listener *listener);

/*
 * Whether the kernel's command line forbids to load, by vmm_load=NO: the way out
 * when a boot with the module fails, as the loader's prompt is on FreeBSD.
 */
bool conf_forbidden(const char *command_line);

/* The name of a limit as the module's parameter; the line's has "hw.vmm." before it. */
const char *conf_limit_name(unsigned int limit);

/* The name of a list of devices: of the line, and of the module's parameter. */
const char *conf_ppt_name(unsigned int list);

#endif
