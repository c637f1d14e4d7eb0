/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM whose instructions are emulated, and what a test expects of one that was. */
#ifndef TESTS_UNIT_EMULATE_VM_H
#define TESTS_UNIT_EMULATE_VM_H

#include "dev/device.h"
#include "unit.h"
#include "x86/emulate/emulate.h"
#include "x86/exits/exits.h"
#include "x86_guest.h"

#define APIC	  0xfee00000u
#define APIC_ID	  (APIC + 0x20)
#define APIC_TPR  (APIC + 0x80)
#define APIC_LVT0 (APIC + 0x350)
#define DEVICE	  0xd0000000u /* nobody's: userspace's */
#define DATA	  0x3000u
#define RTC_DATA  0x71
#define SOME_PORT 0x5678

static struct vm *vm;
static struct vcpu *vcpu;

static inline void begin(void)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
	vcpu->reply_mode = true;
	(void)fake_requests(vcpu);
}

static inline void end(void)
{
	guest_destroy(vm);
}

#define CODE(...)                                                 \
	do {                                                      \
		static const uint8_t code_bytes[] = __VA_ARGS__;  \
		guest_code(vcpu, code_bytes, sizeof(code_bytes)); \
	} while (0)

/* What a test's instruction is expected to have done to RIP. */
#define CHECK_DONE(length)                                  \
	do {                                                \
		CHECK_EQ(guest_exception(vcpu), -1);        \
		CHECK_EQ(vcpu->rip, GUEST_CODE + (length)); \
		CHECK(!emulate_pending(vcpu));              \
	} while (0)

#define CHECK_RAISED(vector)                             \
	do {                                             \
		CHECK_EQ(guest_exception(vcpu), vector); \
		CHECK_EQ(vcpu->rip, GUEST_CODE);         \
	} while (0)

/* The access that the vCPU waits for in userspace. */
#define CHECK_MMIO(address, size, is_write, value)               \
	do {                                                     \
		CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_MMIO); \
		CHECK_EQ(vcpu->exit.u.mmio.gpa, address);        \
		CHECK_EQ(vcpu->exit.u.mmio.bytes, size);         \
		CHECK_EQ(vcpu->exit.u.mmio.write, is_write);     \
		CHECK_EQ(vcpu->exit.u.mmio.data, value);         \
		CHECK_EQ(vcpu->rip, GUEST_CODE);                 \
	} while (0)

static inline enum exit_action answer(uint64_t value)
{
	vcpu->access.data = value;
	vcpu->access.replied = true;
	vcpu->access_pending = false;
	return x86_finish_access(vcpu);
}

/* As the outer loop does. */
static inline enum exit_action run_deferred(void)
{
	enum exit_action (*deferred)(struct vcpu *) = vcpu->deferred;

	REQUIRE(deferred);
	vcpu->deferred = NULL;
	return deferred(vcpu);
}

#endif
