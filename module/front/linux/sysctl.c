// SPDX-License-Identifier: BSD-2-Clause
/* /proc/sys/hw/vmm: facts, and the limits of users. */
#include <linux/module.h>
#include <linux/sysctl.h>
#include "vm/vcpu.h"
#include "os/linux/compat.h"
#include "front/linux/front.h"
#include "os/linux/os_linux.h"
#include "ppt/ppt.h"
#include "run/host.h"

static unsigned int maxcpu;
static char backend_name[16];
static char backend_facts[160];
static char version[] = __stringify(VMM_VERSION);

/* A row of a table: the file's name, the variable, how it is shown. */
#define SYSCTL_ROW(name, value, handler, access)                                                 \
	{                                                                                        \
		.procname = (name), .data = &(value), .maxlen = sizeof(value), .mode = (access), \
		.proc_handler = (handler)                                                        \
	}
#define SYSCTL_UINT(name, value)    SYSCTL_ROW(name, value, proc_douintvec, 0444)
#define SYSCTL_LONG(name, value)    SYSCTL_ROW(name, value.counter, proc_doulongvec_minmax, 0444)
#define SYSCTL_STRING(name, value)  SYSCTL_ROW(name, value, proc_dostring, 0444)
#define SYSCTL_LIMIT(name, handler) SYSCTL_ROW(#name, guest_limits.name, handler, 0644)

/* Both end with an empty row: see compat_register_sysctl(). */
static struct ctl_table table[] = {
	SYSCTL_UINT("maxcpu", maxcpu),			 /* most vCPUs of one VM */
	SYSCTL_UINT("vms", vmdev_vms),			 /* number of VMs */
	SYSCTL_LONG("guest_memory", memory_held.ram),	 /* KiB of guest RAM allocated */
	SYSCTL_LONG("own_memory", memory_held.own),	 /* KiB of nested page tables, VMCBs ... */
	SYSCTL_LONG("own_objects", memory_held.objects), /* number of other allocations */
	SYSCTL_LIMIT(user_memory_max, proc_doulongvec_minmax), /* KiB of guest RAM of a user */
	SYSCTL_LIMIT(user_vms_max, proc_douintvec),	       /* VMs of a user */
	SYSCTL_LIMIT(memory_reserve, proc_doulongvec_minmax),  /* KiB left to the host */
	SYSCTL_STRING("backend", backend_name),		       /* SVM or VMX */
	SYSCTL_STRING("features", backend_facts),	       /* of the processor, as in the log */
	SYSCTL_STRING("version", version),
	{}
};

/* Below hw.vmm.ppt: the reserved devices. */
static struct ctl_table ppt_table[] = { SYSCTL_UINT("devices", ppt_devices), {} };

static struct ctl_table_header *header;
static struct ctl_table_header *ppt_header;

int sysctl_init(void)
{
	maxcpu = vmm_maxcpu();
	strscpy(backend_name, backend->name, sizeof(backend_name));
	strscpy(backend_facts, vmm_facts(), sizeof(backend_facts));
	header = compat_register_sysctl("hw/vmm", table, ARRAY_SIZE(table) - 1);
	if (!header)
		return -ENOMEM;
	ppt_header = compat_register_sysctl("hw/vmm/ppt", ppt_table, ARRAY_SIZE(ppt_table) - 1);
	if (ppt_header)
		return 0;
	unregister_sysctl_table(header);
	return -ENOMEM;
}

void sysctl_exit(void)
{
	unregister_sysctl_table(ppt_header);
	unregister_sysctl_table(header);
}
