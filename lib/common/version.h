/* SPDX-License-Identifier: BSD-2-Clause */
/* What every command answers to --version. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

/*
 * If the command line is --version and nothing else, prints the program's name and version, and
 * ends it. To be called first of all.
 */
void answer_version(int argc, char **argv);

#endif
