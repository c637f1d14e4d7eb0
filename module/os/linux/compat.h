/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What differs between kernels, as small named shims. Each stands on a probe of
 * the headers (probes/ *.c, compiled by the build), not on a version number:
 * stable kernels take interfaces over from later ones.
 */
#ifndef OS_LINUX_COMPAT_H
#define OS_LINUX_COMPAT_H

#include <linux/device.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/sysctl.h>
#include "vmm_probed.h"

/* 6.3 */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* 6.13 */
#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

/* What device_type.devnode is given: 6.2 made it const. */
#ifdef HAVE_DEVNODE_CONST
#define compat_devnode_device const struct device
#else
#define compat_devnode_device struct device
#endif

/*
 * A table of 'count' entries and an empty one behind them, which kernels before
 * 6.6 need as its end and later ones refuse: there register_sysctl is a macro.
 */
static inline struct ctl_table_header *compat_register_sysctl(const char *path,
							      struct ctl_table *table, size_t count)
{
#ifdef register_sysctl
	return register_sysctl_sz(path, table, count);
#else
	return register_sysctl(path, table);
#endif
}

#endif
