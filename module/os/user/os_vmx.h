/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/vmx.h in a process: the instructions, and the host's state around them, are
 * functions of the test that plays the processor.
 */
#ifndef OS_USER_OS_VMX_H
#define OS_USER_OS_VMX_H

#define OS_VMX_INLINE extern

#endif
