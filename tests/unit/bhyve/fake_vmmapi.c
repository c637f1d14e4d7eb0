// SPDX-License-Identifier: BSD-2-Clause
/* The library as tests of bhyve see it: see fake_vmmapi.h. */
#include "fake_vmmapi.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_vm fake = { .injected = -1 };

/* Handles are only passed around. */
static char ctx_handle, vcpu_handle;
struct vmctx *const fake_ctx = (struct vmctx *)&ctx_handle;
struct vcpu *const fake_vcpu = (struct vcpu *)&vcpu_handle;

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.injected = -1;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* --- life ----------------------------------------------------------------------- */

struct vmctx *vm_open(const char *name)
{
	(void)name;
	if (fake.absent) {
		errno = ENOENT;
		return NULL;
	}
	return fake_ctx;
}

struct vmctx *vm_openf(const char *name, int flags)
{
	(void)name, (void)flags;
	return fake_ctx;
}

int vm_destroy_name(const char *name)
{
	(void)name;
	return 0;
}

int vm_suspend(struct vmctx *ctx, enum vm_suspend_how how)
{
	(void)ctx;
	if (fake.suspended)
		return fail(EALREADY);
	fake.suspended = how;
	return 0;
}

int vm_set_topology(struct vmctx *ctx, uint16_t sockets, uint16_t cores, uint16_t threads,
		    uint16_t maxcpus)
{
	(void)ctx, (void)maxcpus;
	return sockets && cores && threads ? 0 : fail(EINVAL);
}

/* --- memory --------------------------------------------------------------------- */

int vm_parse_memsize(const char *text, size_t *size)
{
	char *end;

	*size = strtoul(text, &end, 10) << 20;
	return *end == '\0' || strcmp(end, "M") == 0 ? 0 : fail(EINVAL);
}

int vm_get_memseg(struct vmctx *ctx, int segid, size_t *lenp, char *name, size_t namesiz)
{
	(void)ctx, (void)segid, (void)namesiz;
	*lenp = 0;
	*name = '\0';
	return 0;
}

void vm_set_memflags(struct vmctx *ctx, int flags)
{
	(void)ctx, (void)flags;
}

int vm_setup_memory(struct vmctx *ctx, size_t len, enum vm_mmap_style style)
{
	(void)ctx, (void)style;
	return len <= FAKE_MEMORY ? 0 : fail(ENOMEM);
}

size_t vm_get_lowmem_size(struct vmctx *ctx)
{
	(void)ctx;
	return FAKE_MEMORY;
}

size_t vm_get_highmem_size(struct vmctx *ctx)
{
	(void)ctx;
	return fake.high_memory;
}

vm_paddr_t vm_get_highmem_base(struct vmctx *ctx)
{
	(void)ctx;
	return UINT64_C(1) << 32;
}

uint32_t vm_get_lowmem_limit(struct vmctx *ctx)
{
	(void)ctx;
	return 0xc0000000;
}

void *vm_map_gpa(struct vmctx *ctx, vm_paddr_t gpa, size_t len)
{
	(void)ctx;
	if (gpa > FAKE_MEMORY || len > FAKE_MEMORY - gpa)
		return NULL;
	return fake.memory + gpa;
}

/* --- vCPUs ---------------------------------------------------------------------- */

struct vcpu *vm_vcpu_open(struct vmctx *ctx, int vcpuid)
{
	(void)ctx, (void)vcpuid;
	return fake_vcpu;
}

int vcpu_id(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

int vm_activate_cpu(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

int vm_active_cpus(struct vmctx *ctx, cpuset_t *cpus)
{
	(void)ctx;
	CPU_ZERO(cpus);
	return 0;
}

int vm_set_capability(struct vcpu *vcpu, enum vm_cap_type cap, int value)
{
	(void)vcpu, (void)cap, (void)value;
	return 0;
}

int vm_set_x2apic_state(struct vcpu *vcpu, enum x2apic_state state)
{
	(void)vcpu, (void)state;
	return 0;
}

int vm_set_mtrr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	if (msr >= sizeof(fake.mtrr) / sizeof(fake.mtrr[0]) ||
	    (fake.mtrr_bits && msr < 0x210 && value >> fake.mtrr_bits))
		return fail(EINVAL);
	fake.mtrr[msr] = value;
	return 0;
}

int vm_set_register(struct vcpu *vcpu, int reg, uint64_t value)
{
	(void)vcpu;
	fake.registers[reg] = value;
	return 0;
}

int vm_get_register(struct vcpu *vcpu, int reg, uint64_t *value)
{
	(void)vcpu;
	*value = fake.registers[reg];
	return 0;
}

int vm_get_seg_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc)
{
	(void)vcpu;
	*desc = (struct seg_desc){ .base = reg == VM_REG_GUEST_CS ? fake.code_base : 0 };
	return 0;
}

int vm_inject_exception(struct vcpu *vcpu, int vector, int error_code_valid, uint32_t error_code,
			int restart_instruction)
{
	(void)vcpu, (void)error_code_valid, (void)error_code, (void)restart_instruction;
	fake.injected = vector;
	return 0;
}

int vm_run_reply(struct vcpu *vcpu, struct vm_exit *vm_exit, bool reply, uint64_t value)
{
	unsigned turn = fake.turn < fake.script_length ? fake.turn : fake.script_length - 1;

	(void)vcpu;
	if (fake.turn < sizeof(fake.replies) / sizeof(fake.replies[0])) {
		fake.replies[fake.turn].given = reply;
		fake.replies[fake.turn].value = value;
	}
	fake.turn++;
	if (fake.script[turn].error)
		return fail(fake.script[turn].error);
	*vm_exit = fake.script[turn].exit;
	return 0;
}

/* --- interrupts and the clock ----------------------------------------------------- */

/* Firmware's segment is a piece of this process. */
void *vm_create_devmem(struct vmctx *ctx, int segid, const char *name, size_t len)
{
	(void)ctx, (void)segid, (void)name;
	return len <= sizeof(fake.devmem) ? fake.devmem : (void *)-1;
}

int vm_mmap_memseg(struct vmctx *ctx, vm_paddr_t gpa, int segid, vm_ooffset_t segoff, size_t len,
		   int prot)
{
	(void)ctx, (void)gpa, (void)segid, (void)segoff, (void)len, (void)prot;
	fake.mappings++;
	return 0;
}

int vm_munmap_memseg(struct vmctx *ctx, vm_paddr_t gpa, size_t len)
{
	(void)ctx, (void)gpa, (void)len;
	fake.mappings--;
	return 0;
}

int vm_reinit(struct vmctx *ctx)
{
	(void)ctx;
	return 0;
}

int vm_ioapic_assert_irq(struct vmctx *ctx, int irq)
{
	(void)ctx;
	__atomic_fetch_add(&fake.ioapic[irq], 1, __ATOMIC_SEQ_CST);
	return 0;
}

int vm_ioapic_deassert_irq(struct vmctx *ctx, int irq)
{
	(void)ctx;
	__atomic_fetch_sub(&fake.ioapic[irq], 1, __ATOMIC_SEQ_CST);
	return 0;
}

int vm_lapic_msi(struct vmctx *ctx, uint64_t addr, uint64_t msg)
{
	(void)ctx;
	fake.message_address = addr;
	fake.message_data = msg;
	__atomic_fetch_add(&fake.messages, 1, __ATOMIC_SEQ_CST);
	return 0;
}

int vm_isa_assert_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq)
{
	(void)ctx, (void)ioapic_irq;
	fake.raised[atpic_irq] += !fake.line[atpic_irq];
	fake.line[atpic_irq] = true;
	return 0;
}

int vm_isa_deassert_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq)
{
	(void)ctx, (void)ioapic_irq;
	fake.line[atpic_irq] = false;
	return 0;
}

int vm_isa_set_irq_trigger(struct vmctx *ctx, int atpic_irq, enum vm_intr_trigger trigger)
{
	(void)ctx;
	fake.level_triggered[atpic_irq] = trigger == LEVEL_TRIGGER;
	return 0;
}

int vm_get_hpet_capabilities(struct vmctx *ctx, uint32_t *capabilities)
{
	(void)ctx;
	*capabilities = 0x8086a201;
	return 0;
}

int vm_rtc_write(struct vmctx *ctx, int offset, uint8_t value)
{
	(void)ctx;
	fake.nvram[offset] = value;
	return 0;
}

int vm_rtc_settime(struct vmctx *ctx, time_t secs)
{
	(void)ctx;
	fake.rtc = secs;
	return 0;
}

/* --- devices of the host ----------------------------------------------------------- */

static int called(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int called(const char *format, ...)
{
	size_t used = strlen(fake.calls);
	va_list args;

	va_start(args, format);
	vsnprintf(fake.calls + used, sizeof(fake.calls) - used, format, args);
	va_end(args);
	return 0;
}

int vm_assign_pptdev(struct vmctx *ctx, int bus, int slot, int func)
{
	(void)ctx;
	if (fake.assign_error)
		return fail(fake.assign_error);
	return called("assign %d/%d/%d; ", bus, slot, func);
}

int vm_map_pptdev_mmio(struct vmctx *ctx, int bus, int slot, int func, vm_paddr_t gpa, size_t len,
		       vm_paddr_t hpa)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("map %llx+%zx=%llx; ", (unsigned long long)gpa, len, (unsigned long long)hpa);
}

int vm_unmap_pptdev_mmio(struct vmctx *ctx, int bus, int slot, int func, vm_paddr_t gpa, size_t len)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("unmap %llx+%zx; ", (unsigned long long)gpa, len);
}

int vm_setup_pptdev_msi(struct vmctx *ctx, int bus, int slot, int func, uint64_t addr, uint64_t msg,
			int numvec)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("msi %llx %llx %d; ", (unsigned long long)addr, (unsigned long long)msg,
		      numvec);
}

int vm_setup_pptdev_msix(struct vmctx *ctx, int bus, int slot, int func, int idx, uint64_t addr,
			 uint64_t msg, uint32_t vector_control)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("msix %d %llx %llx %u; ", idx, (unsigned long long)addr,
		      (unsigned long long)msg, vector_control);
}

int vm_disable_pptdev_msix(struct vmctx *ctx, int bus, int slot, int func)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("msix off; ");
}

int vm_setup_pptdev_intx(struct vmctx *ctx, int bus, int slot, int func, int ioapic_irq)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("intx %d; ", ioapic_irq);
}

int vm_reset_pptdev(struct vmctx *ctx, int bus, int slot, int func)
{
	(void)ctx, (void)bus, (void)slot, (void)func;
	return called("reset; ");
}
