// SPDX-License-Identifier: BSD-2-Clause
#include "common/version.h"
#include "common/complain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/version.h>

#define TEXT_OF(words)	  #words
#define VERSION_OF(macro) TEXT_OF(macro)

void answer_version(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--version") != 0)
		return;
	printf("%s (vmm) %s\n", program_name, VERSION_OF(VMM_VERSION));
	exit(finish_standard_output() ? EXIT_FAILURE : EXIT_SUCCESS);
}
