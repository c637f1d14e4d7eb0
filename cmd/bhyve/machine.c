// SPDX-License-Identifier: BSD-2-Clause
/*
 * Building the machine that the command line describes.
 */
#include "machine.h"
#include "bootrom.h"
#include "diag.h"
#include "fwcfg.h"
#include "i8042.h"
#include "mtrr.h"
#include "pci.h"
#include "pm.h"
#include "reset.h"
#include "rtc.h"
#include "run.h"
#include "serial.h"
#include "tables.h"
#include "testdev.h"
#include "common/cpu_list.h"
#include "common/size.h"
#include "common/vm_name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a processor begins after power-on (SDM vol. 3, 9.1.4). */
#define RESET_RIP	0xfff0u
#define RESET_CODE_BASE 0xffff0000u

#define MEMORY_DEFAULT ((size_t)256 << 20)
#define XAPIC_CPUS     255u /* xAPIC ids go up to 254 */
#define MAXCPU_FILE    "/proc/sys/hw/vmm/maxcpu"

/* The VM that is to be destroyed should start-up fail, or NULL. */
static const char *created_name;

static void destroy_created(void)
{
	if (created_name)
		vm_destroy_name(created_name);
}

/* --- opening ------------------------------------------------------------------ */

static struct vmctx *create_vm(const struct options *options)
{
	int flags = options->monitor ? VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE : VMMAPI_OPEN_CREATE;
	struct vmctx *ctx = vm_openf(options->name, flags);

	if (!ctx)
		fatal("%s: %s", options->name, vm_access_problem(errno));
	created_name = options->name;
	atexit(destroy_created);
	return ctx;
}

static struct vmctx *open_or_create(const struct options *options)
{
	struct vmctx *ctx = vm_open(options->name);

	if (ctx)
		return ctx;
	if (errno == ENOENT && (options->empty || options->bootrom))
		return create_vm(options);
	if (errno == ENOENT && access(CONTROL_DEVICE, F_OK) == 0)
		fatal("%s: virtual machine cannot be booted: there is no such VM "
		      "(bhyveload creates it, --empty starts an empty one)",
		      options->name);
	fatal("%s: %s", options->name, vm_access_problem(errno));
}

/* The module's limit, or the greatest possible where it does not say. */
static unsigned read_maxcpu(void)
{
	FILE *file = fopen(MAXCPU_FILE, "re");
	unsigned maxcpu = UINT16_MAX;

	if (!file)
		return maxcpu;
	if (fscanf(file, "%u", &maxcpu) != 1)
		maxcpu = UINT16_MAX;
	fclose(file);
	return maxcpu;
}

static void check_cpus(const struct options *options)
{
	struct vm_cpu_topology topology = options_topology(options);
	unsigned maxcpu = read_maxcpu();

	if (options->cpus > maxcpu)
		fatal("-c %u: hw.vmm.maxcpu allows %u CPUs", options->cpus, maxcpu);
	if (options->cpus > XAPIC_CPUS && !options->x2apic)
		fatal("-c %u: more than %u CPUs need -x", options->cpus, XAPIC_CPUS);
	if (vm_topology_apic_id(&topology, options->cpus - 1) >= XAPIC_CPUS && !options->x2apic)
		fatal("-c %u: APIC IDs above %u, as with this topology, need -x", options->cpus,
		      XAPIC_CPUS - 1);
}

static void set_topology(struct vmctx *ctx, const struct options *options)
{
	if (vm_set_topology(ctx, (uint16_t)options->sockets, (uint16_t)options->cores,
			    (uint16_t)options->threads, 0))
		fatal("-c %u: %s", options->cpus, strerror(errno));
}

/* Without -m a VM that bhyveload has created keeps the memory it has. */
static size_t memory_size(const struct options *options, size_t existing)
{
	if (options->memory)
		return options->memory;
	return existing ? existing : MEMORY_DEFAULT;
}

/* Memory is allocated when the guest touches it, so the module accepts any size. */
static void check_size(size_t size)
{
	uint64_t total = host_memory_size();

	if (size > total)
		fatal("-m %zuM: this host has %" PRIu64 "M of memory", size >> 20, total >> 20);
}

static void setup_memory(struct vmctx *ctx, const struct options *options)
{
	char name[VM_MAX_SUFFIXLEN + 1];
	size_t existing = 0;
	size_t size;

	if (vm_get_memseg(ctx, VM_SYSMEM, &existing, name, sizeof(name)))
		fatal("%s: %s", options->name, strerror(errno));
	size = memory_size(options, existing);
	if (existing && existing != size)
		fatal("-m %zuM: the VM has %zuM of memory already", size >> 20, existing >> 20);
	check_size(size);
	if (options->wired)
		vm_set_memflags(ctx, VM_MEM_F_WIRED);
	if (vm_setup_memory(ctx, size, VM_MMAP_ALL) == 0)
		return;
	if (errno == EEXIST && existing)
		fatal("-S: memory was made %swired by bhyveload", options->wired ? "un" : "");
	fatal("-m %zuM: %s", size >> 20, strerror(errno));
}

/* Before the VM is changed: another process may be running it. */
static void check_idle(struct vmctx *ctx, const char *name)
{
	cpuset_t active;

	if (vm_active_cpus(ctx, &active))
		fatal("%s: %s", name, strerror(errno));
	if (CPU_COUNT(&active) > 0)
		fatal("%s: it runs already, or has run and must be loaded again", name);
}

struct vmctx *machine_open(const struct options *options)
{
	struct vmctx *ctx;

	check_cpus(options);
	ctx = open_or_create(options);
	/* With firmware nothing has to be loaded: a machine that has stopped starts anew. */
	if (options->bootrom && !created_name && vm_reinit(ctx))
		fatal("%s: %s", options->name,
		      errno == EBUSY ? "it runs already" : strerror(errno));
	check_idle(ctx, options->name);
	set_topology(ctx, options);
	setup_memory(ctx, options);
	return ctx;
}

/* --- devices ---------------------------------------------------------- */

void machine_add_devices(struct vmctx *ctx, const struct options *options)
{
	uint8_t uuid[UUID_LENGTH];

	if (options->has_uuid)
		memcpy(uuid, options->uuid, sizeof(uuid));
	else
		uuid_generate(options->name, uuid);
	if (rtc_init(ctx, options->rtc_utc))
		fatal("the real-time clock: %s", strerror(errno));
	if (options->bootrom)
		pci_add_firmware_functions();
	pci_init(ctx);
	pm_init(ctx);
	reset_init(ctx);
	i8042_init(ctx);
	for (unsigned i = 0; i < SERIAL_PORTS; i++)
		if (options->com[i].present)
			serial_init(ctx, i, options->com[i].backend);
	if (options->testdev)
		testdev_init(ctx);
	tables_build(ctx, options, uuid);
	/* The tables are among its files. */
	if (options->fwcfg)
		fwcfg_init(ctx, options->cpus, uuid);
	if (options->bootrom)
		bootrom_init(ctx, options->bootrom);
}

/* --- vCPUs ------------------------------------------------------------------------ */

static void set_capability(struct vcpu *vcpu, enum vm_cap_type capability, const char *option)
{
	if (vm_set_capability(vcpu, capability, 1))
		fatal("%s: %s", option,
		      errno == ENOENT ? "this processor cannot do that" : strerror(errno));
}

static struct vcpu *make_vcpu(struct vmctx *ctx, const struct options *options, unsigned id)
{
	enum x2apic_state state = options->x2apic ? X2APIC_ENABLED : X2APIC_DISABLED;
	struct vcpu *vcpu = vm_vcpu_open(ctx, (int)id);

	if (!vcpu)
		fatal("vCPU %u: %s", id, strerror(errno));
	if (vm_set_x2apic_state(vcpu, state))
		fatal("vCPU %u: its local APIC: %s", id, strerror(errno));
	/* Firmware sets them itself. */
	if (!options->bootrom && !options->empty && mtrr_set(ctx, vcpu))
		fatal("vCPU %u: its MTRRs: %s", id, strerror(errno));
	if (options->exit_on_pause)
		set_capability(vcpu, VM_CAP_PAUSE_EXIT, "-P");
	if (vm_activate_cpu(vcpu))
		fatal("vCPU %u: %s", id, strerror(errno));
	return vcpu;
}

/* Without firmware there is nothing at the reset vector, where a new vCPU is. */
static bool is_loaded(struct vcpu *vcpu)
{
	struct seg_desc code;
	uint64_t rip;

	if (vm_get_register(vcpu, VM_REG_GUEST_RIP, &rip) ||
	    vm_get_seg_desc(vcpu, VM_REG_GUEST_CS, &code))
		fatal("vCPU 0: its registers: %s", strerror(errno));
	return rip != RESET_RIP || code.base != RESET_CODE_BASE;
}

static void check_host_cpus(const struct options *options)
{
	char list[256];
	cpu_set_t cpus;

	/* A host with more CPUs than the set: the kernel judges then. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return;
	for (const struct pin *pin = options->pins; pin; pin = pin->next)
		if (!CPU_ISSET((size_t)pin->host_cpu, &cpus))
			fatal("-p %u:%d: bhyve may run on the CPUs %s", pin->vcpu, pin->host_cpu,
			      cpu_list_format(&cpus, list, sizeof(list)));
}

void machine_run(struct vmctx *ctx, const struct options *options)
{
	struct vcpu **vcpus = calloc(options->cpus, sizeof(*vcpus));
	int error;

	check_host_cpus(options);
	if (!vcpus)
		fatal("-c %u: there is no memory left", options->cpus);
	/* All are active before one runs: an IPI must find its destination. */
	for (unsigned i = 0; i < options->cpus; i++)
		vcpus[i] = make_vcpu(ctx, options, i);
	if (!options->empty && !options->bootrom && !is_loaded(vcpus[0]))
		fatal("%s: virtual machine cannot be booted: nothing has been loaded into it "
		      "(bhyveload does, --empty starts it so)",
		      options->name);
	for (unsigned i = 0; i < options->cpus; i++) {
		error = run_start(ctx, vcpus[i], options_host_cpu(options, i), &options->run);
		if (error)
			fatal("vCPU %u: no thread for it: %s", i, strerror(error));
	}
	created_name = NULL;
	free(vcpus);
}

void machine_end(const struct options *options, enum vm_suspend_how how)
{
	if (options->monitor || (options->destroy_on_poweroff && how == VM_SUSPEND_POWEROFF))
		vm_destroy_name(options->name);
}
