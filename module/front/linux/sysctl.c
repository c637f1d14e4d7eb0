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

/* What programs ask FreeBSD for, by its names: of the other vendor's processors all is 0. */
static unsigned int vmx_initialized, svm_features, svm_num_asids;
static unsigned int vmx_cap[10];

static struct ctl_table vmx_table[] = { SYSCTL_UINT("initialized", vmx_initialized), {} };
static struct ctl_table svm_table[] = { SYSCTL_UINT("features", svm_features),
					SYSCTL_UINT("num_asids", svm_num_asids),
					{} };
static struct ctl_table vmx_cap_table[] = {
	SYSCTL_UINT("halt_exit", vmx_cap[0]),
	SYSCTL_UINT("unrestricted_guest", vmx_cap[1]),
	SYSCTL_UINT("pause_exit", vmx_cap[2]),
	SYSCTL_UINT("monitor_trap", vmx_cap[3]),
	SYSCTL_UINT("wbinvd_exit", vmx_cap[4]),
	SYSCTL_UINT("rdpid", vmx_cap[5]),
	SYSCTL_UINT("rdtscp", vmx_cap[6]),
	SYSCTL_UINT("invpcid", vmx_cap[7]),
	SYSCTL_UINT("tpr_shadowing", vmx_cap[8]),
	SYSCTL_UINT("virtual_interrupt_delivery", vmx_cap[9]),
	{},
};

#define FOLDER(folder_path, rows)                                                     \
	{                                                                             \
		.path = (folder_path), .table = (rows), .count = ARRAY_SIZE(rows) - 1 \
	}
static struct sysctl_folder {
	const char *path;
	struct ctl_table *table;
	size_t count;
	struct ctl_table_header *header;
} folders[] = {
	FOLDER("hw/vmm", table),
	FOLDER("hw/vmm/ppt", ppt_table),
	FOLDER("hw/vmm/svm", svm_table),
	FOLDER("hw/vmm/vmx", vmx_table),
	FOLDER("hw/vmm/vmx/cap", vmx_cap_table),
};

/* The value of each row from the back end, which knows it by "prefix" and the row's name. */
static void sysctl_fill(const struct ctl_table *rows, size_t count, const char *prefix)
{
	char name[48];

	for (size_t i = 0; backend->offers.number && i < count; i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, rows[i].procname);
		*(unsigned int *)rows[i].data = backend->offers.number(name);
	}
}

void sysctl_exit(void)
{
	for (size_t i = ARRAY_SIZE(folders); i-- > 0;) {
		if (folders[i].header)
			unregister_sysctl_table(folders[i].header);
		folders[i].header = NULL;
	}
}

int sysctl_init(void)
{
	maxcpu = vmm_maxcpu();
	strscpy(backend_name, backend->name, sizeof(backend_name));
	strscpy(backend_facts, vmm_facts(), sizeof(backend_facts));
	sysctl_fill(vmx_table, ARRAY_SIZE(vmx_table) - 1, "vmx.");
	sysctl_fill(vmx_cap_table, ARRAY_SIZE(vmx_cap_table) - 1, "vmx.cap.");
	sysctl_fill(svm_table, ARRAY_SIZE(svm_table) - 1, "svm.");
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct sysctl_folder *folder = &folders[i];

		folder->header = compat_register_sysctl(folder->path, folder->table, folder->count);
		if (!folder->header) {
			sysctl_exit();
			return -ENOMEM;
		}
	}
	return 0;
}
