/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs by name: what may be one, and why one cannot be had. */
#ifndef COMMON_VM_NAME_H
#define COMMON_VM_NAME_H

/* What creates VMs: it is there exactly while the module is loaded. */
#define CONTROL_DEVICE "/dev/vmmctl"

/* NULL, or why 'name' cannot be that of a VM, as the end of a line "NAME: why". */
const char *vm_name_problem(const char *name);

/* "the module is not loaded ...": for a caller that has found one of its files missing. */
#define MODULE_NOT_LOADED "the module vmm is not loaded (there is no " CONTROL_DEVICE ")"

/*
 * Why vm_open(), vm_create() or vm_destroy_name() has failed with this errno, as
 * the end of a line "NAME: why". The text is good until the next call of strerror().
 */
const char *vm_access_problem(int error);

#endif
