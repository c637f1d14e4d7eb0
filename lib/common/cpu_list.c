// SPDX-License-Identifier: BSD-2-Clause
#include "common/cpu_list.h"

#include <stdio.h>
#include <string.h>

/* The last CPU of the run that 'first' begins. */
static int last_of_run(const cpu_set_t *cpus, int first)
{
	while (first + 1 < CPU_SETSIZE && CPU_ISSET((size_t)first + 1, cpus))
		first++;
	return first;
}

const char *cpu_list_format(const cpu_set_t *cpus, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "none");
	for (int first = 0; first < CPU_SETSIZE && used < size; first++) {
		int last;

		if (!CPU_ISSET((size_t)first, cpus))
			continue;
		last = last_of_run(cpus, first);
		used += (size_t)snprintf(text + used, size - used,
					 last > first ? "%s%d-%d" : "%s%d", used ? "," : "", first,
					 last);
		first = last;
	}
	return text;
}
