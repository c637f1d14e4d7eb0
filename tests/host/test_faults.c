// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every allocation of every operation fails once, and every copy from and to userspace: the
 * operation fails with an errno or does without, the VM goes as any other, nothing is left. Needs
 * a kernel that injects faults (lab/run --kernel debug); in-host skips it elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

#define MIB	   (1ul << 20)
#define FAIL_NTH   "/proc/thread-self/fail-nth"
#define DEBUGFS	   "/sys/kernel/debug/"
#define MOST_SITES 3000 /* of one operation: none comes near */

#define DATA	 (4 * MIB)
#define ROM_SIZE (2 * MIB)

/* Reads and writes where nobody has been, outputs to a port of userspace. */
static const uint8_t guest[] = {
	0xa1, 0x10, 0x00,	/* mov 0x10, %ax */
	0xa3, 0x00, 0x10,	/* mov %ax, 0x1000 */
	0xba, 0x34, 0x12, 0xee, /* mov $0x1234, %dx; out %al, %dx */
};

static struct vmctx *ctx;
static struct vcpu *vcpu;
static int zeros; /* /dev/zero */
static void *rom = MAP_FAILED;

/* --- operations: 0, or -1 with errno ------------------------------------------------- */

static int create(void)
{
	ctx = vm_openf("faults", VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);
	return ctx ? 0 : -1;
}

static int set_up_memory(void)
{
	return vm_setup_memory(ctx, 8 * MIB, VM_MMAP_ALL);
}

static int touch_memory(void)
{
	char *memory = vm_map_gpa(ctx, 0, 8 * MIB);

	if (!memory)
		return -1;
	/* By the kernel's hand, which answers with EFAULT where a process would get SIGBUS. */
	if (pread(zeros, memory + MACHINE_CODE, 4096, 0) != 4096)
		return -1;
	memcpy(memory + MACHINE_CODE, guest, sizeof(guest));
	return 0;
}

static int make_vcpu(void)
{
	vcpu = vm_vcpu_open(ctx, 0);
	if (!vcpu || vm_activate_cpu(vcpu))
		return -1;
	if (vm_set_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffff, 0x9b) ||
	    vm_set_desc(vcpu, VM_REG_GUEST_DS, DATA, 0xffff, 0x93) ||
	    vm_set_register(vcpu, VM_REG_GUEST_CS, 0) ||
	    vm_set_register(vcpu, VM_REG_GUEST_RIP, MACHINE_CODE))
		return -1;
	return 0;
}

/* What memory there is not is an exit (VM_EXITCODE_PAGING), and the next run goes on. */
static int run(void)
{
	struct vm_exit exit = { 0 };

	for (int i = 0; i < 100; i++) {
		if (vm_run_reply(vcpu, &exit, false, 0))
			return -1;
		if (exit.exitcode == VM_EXITCODE_INOUT)
			return 0;
	}
	errno = ETIME;
	return -1;
}

static int add_segment(void)
{
	rom = vm_create_devmem(ctx, VM_BOOTROM, "rom", ROM_SIZE);
	return rom == MAP_FAILED ? -1 : 0;
}

static int map_segment(void)
{
	return vm_mmap_memseg(ctx, 0xffe00000, VM_BOOTROM, 0, ROM_SIZE,
			      VM_PROT_READ | VM_PROT_EXEC);
}

static int transfer(void)
{
	char bytes[8192];
	int fd = vm_get_device_fd(ctx);

	if (pwrite(fd, guest, sizeof(guest), 6 * MIB) < 0)
		return -1;
	return pread(fd, bytes, sizeof(bytes), 6 * MIB) < 0 ? -1 : 0;
}

static int look(void)
{
	uint64_t value, entries[4];
	uint32_t word;
	int count;

	if (vm_get_register(vcpu, VM_REG_GUEST_RIP, &value) ||
	    vm_get_hpet_capabilities(ctx, &word) ||
	    vm_get_gpa_pmap(ctx, MACHINE_CODE, entries, &count) ||
	    vm_get_capability(vcpu, VM_CAP_HALT_EXIT, &count) || !vm_get_stats(vcpu, NULL, &count))
		return -1;
	return 0;
}

static int interrupt(void)
{
	if (vm_inject_nmi(vcpu) || vm_lapic_irq(vcpu, 0x40) || vm_ioapic_pulse_irq(ctx, 4) ||
	    vm_isa_pulse_irq(ctx, 4, 4) || vm_suspend_cpu(vcpu) || vm_resume_cpu(vcpu))
		return -1;
	return 0;
}

static int restart(void)
{
	if (vm_suspend(ctx, VM_SUSPEND_POWEROFF))
		return -1;
	return vm_reinit(ctx);
}

/* --- injecting ------------------------------------------------------------------------ */

static void inject_everywhere(void)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	static const struct {
		const char *name, *value;
	} settings[] = {
		{ "verbose", "0" },
		{ "ignore-gfp-wait", "N" },
		{ "ignore-gfp-highmem", "N" },
		{ "min-order", "0" },
	};
	char path[128];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s/verbose", kinds[i]);
		REQUIRE(access(path, W_OK) == 0);
		for (size_t k = 0; k < sizeof(settings) / sizeof(settings[0]); k++) {
			snprintf(path, sizeof(path), DEBUGFS "%s/%s", kinds[i], settings[k].name);
			if (access(path, F_OK) == 0) /* not every kind has each */
				REQUIRE(write_file(path, settings[k].value) == 0);
		}
	}
}

/* The file is open before: opening it is a site of faults, too. */
static int fail_nth = -1;

static void inject(int n)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%d", n);

	/* Writing may itself be the site that fails, the last one. */
	while (pwrite(fail_nth, text, (size_t)size, 0) != size)
		REQUIRE(errno == EFAULT || errno == ENOMEM);
}

/* Was the n-th site reached? No more faults after this. */
static bool was_injected(void)
{
	char text[16] = "";

	/* Reading may itself be the next site. */
	while (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		;
	inject(0);
	return atoi(text) == 0;
}

/* --- one operation after the other ----------------------------------------------------- */

static const struct operation {
	const char *name;
	int (*run)(void);
} operations[] = {
	{ "create", create },
	{ "set_up_memory", set_up_memory },
	{ "touch_memory", touch_memory },
	{ "make_vcpu", make_vcpu },
	{ "run", run },
	{ "add_segment", add_segment },
	{ "map_segment", map_segment },
	{ "transfer", transfer },
	{ "look", look },
	{ "interrupt", interrupt },
	{ "restart", restart },
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static void tear_down(void)
{
	if (ctx)
		vm_destroy(ctx);
	ctx = NULL;
	vcpu = NULL;
	if (rom != MAP_FAILED)
		munmap(rom, ROM_SIZE);
	rom = MAP_FAILED;
}

/* All before it as usual, then the operation with its n-th site failing. False: it has fewer. */
static bool fail_once(const struct operation *operation, int n)
{
	const struct operation *before;
	bool injected;
	int result, error;

	for (before = operations; before < operation; before++)
		REQUIRE(before->run() == 0);
	inject(n);
	result = operation->run();
	error = errno;
	injected = was_injected();
	if (!injected)
		CHECK_EQ_AT(result, 0, "%s: %s", operation->name, strerror(error));
	else if (result)
		CHECK_EQ_AT(error == ENOMEM || error == EFAULT || error == ENOENT, true,
			    "%s, site %d: %s", operation->name, n, strerror(error));
	tear_down();
	return injected;
}

TEST(every_allocation_and_copy_fails_once)
{
	struct held before;

	inject_everywhere();
	zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	fail_nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	REQUIRE(fail_nth >= 0);
	before = module_holds();
	for (size_t i = 0; i < OPERATIONS; i++) {
		int n = 1;

		while (n < MOST_SITES && fail_once(&operations[i], n))
			n++;
		CHECK_EQ_AT(n < MOST_SITES, true, "%s has no end", operations[i].name);
		CHECK_EQ_AT(n > 1, true, "%s has no sites", operations[i].name);
		check_held(before);
		printf("# %s: %d sites\n", operations[i].name, n - 1);
	}
	close(fail_nth);
}
