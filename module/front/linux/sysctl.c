// SPDX-License-Identifier: BSD-2-Clause
/* /proc/sys/hw/vmm: facts to read, nothing to write. */
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

/* One more than there are names: see compat_register_sysctl(). */
static struct ctl_table table[] = {
	{
		.procname = "maxcpu", /* most vCPUs of one VM */
		.data = &maxcpu,
		.maxlen = sizeof(maxcpu),
		.mode = 0444,
		.proc_handler = proc_douintvec,
	},
	{
		.procname = "vms", /* VMs there are */
		.data = &vmdev_vms,
		.maxlen = sizeof(vmdev_vms),
		.mode = 0444,
		.proc_handler = proc_douintvec,
	},
	{
		.procname = "guest_memory", /* KiB that guests have */
		.data = &memory_held.ram.counter,
		.maxlen = sizeof(long),
		.mode = 0444,
		.proc_handler = proc_doulongvec_minmax,
	},
	{
		.procname = "own_memory", /* KiB for nested page tables, VMCBs and the like */
		.data = &memory_held.own.counter,
		.maxlen = sizeof(long),
		.mode = 0444,
		.proc_handler = proc_doulongvec_minmax,
	},
	{
		.procname = "own_objects", /* number of all other pieces of memory */
		.data = &memory_held.objects.counter,
		.maxlen = sizeof(long),
		.mode = 0444,
		.proc_handler = proc_doulongvec_minmax,
	},
	{
		.procname = "backend", /* SVM or VMX */
		.data = backend_name,
		.maxlen = sizeof(backend_name),
		.mode = 0444,
		.proc_handler = proc_dostring,
	},
	{
		.procname = "features", /* what the processor offers, as in the log */
		.data = backend_facts,
		.maxlen = sizeof(backend_facts),
		.mode = 0444,
		.proc_handler = proc_dostring,
	},
	{
		.procname = "version",
		.data = version,
		.maxlen = sizeof(version),
		.mode = 0444,
		.proc_handler = proc_dostring,
	},
	{}
};

/* Below hw.vmm.ppt. */
static struct ctl_table ppt_table[] = { {
						.procname = "devices", /* reserved for guests */
						.data = &ppt_devices,
						.maxlen = sizeof(ppt_devices),
						.mode = 0444,
						.proc_handler = proc_douintvec,
					},
					{} };

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
