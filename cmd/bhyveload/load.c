// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which kind of kernel a file is. A file that could be started in two ways is
 * started in the first of them.
 */
#include "load.h"

static const struct kernel_format *const formats[] = {
	&linux_format,
	&multiboot_format,
	&pvh_format,
};

const struct kernel_format *load_find_format(const struct image *kernel, struct failure *failure)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i]->probe(kernel))
			return formats[i];
	failure_note(failure,
		     "%s: not a kernel (Linux bzImage, Multiboot or PVH); it looks like %s",
		     kernel->name, image_looks_like(kernel));
	return NULL;
}
