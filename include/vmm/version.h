/* SPDX-License-Identifier: BSD-2-Clause */
/* The version of the module, the library and the commands, which belong together. */
#ifndef VMM_VERSION_H
#define VMM_VERSION_H

#define VMM_VERSION 0.1.0

#endif
