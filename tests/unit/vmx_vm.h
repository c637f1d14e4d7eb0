/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM on the Intel back end and the played processor, and pieces of the inner loop, for
 * tests. TEST_BOTH is a test that runs twice: with every option of VMX and with none.
 */
#ifndef TESTS_UNIT_VMX_VM_H
#define TESTS_UNIT_VMX_VM_H

#include "unit.h"
#include "vmx/vcpu.h"
#include "vmx_processor.h"
#include "run/host.h"
#include "run/vm.h"
#include "x86/cpu/registers.h"

#define INTINFO(type, vector) (VM_INTINFO_VALID | (type) | (vector))

#define TEST_BOTH(name)                     \
	static void name##_body(void);      \
	TEST(name)                          \
	{                                   \
		name##_body();              \
	}                                   \
	TEST(name##_without_options)        \
	{                                   \
		vmx_disable_features = ~0u; \
		name##_body();              \
	}                                   \
	static void name##_body(void)

/* Of a VM with two vCPUs on two CPUs. */
extern struct vm *vmx_vm;

/* Power on, load the module, make the VM and its boot processor's vCPU. */
struct vcpu *vmx_start(void);
/* The same with the processor as the caller has left it. */
struct vcpu *vmx_start_here(void);
/* The other one, which waits for no start-up IPI. */
struct vcpu *vmx_second(void);
/* Free it all; aborts if something is left over. */
void vmx_stop(void);

/* The edges of the inner loop, and one entry in between. */
void vmx_begin(struct vcpu *vcpu);
void vmx_end(struct vcpu *vcpu);
void vmx_entry(struct vcpu *vcpu);
enum exit_action vmx_entry_and_exit(struct vcpu *vcpu);
/* begin, entry_and_exit, end. */
enum exit_action vmx_turn(struct vcpu *vcpu);

/* Registers that cannot fail to be set. */
void vmx_put_reg(struct vcpu *vcpu, int reg, uint64_t value);
uint64_t vmx_reg(struct vcpu *vcpu, int reg);
void vmx_put_desc(struct vcpu *vcpu, int reg, uint64_t base, uint32_t limit, uint32_t access);
/* Legal states: flat protected mode without paging, and 64-bit mode. */
void vmx_protected_mode(struct vcpu *vcpu);
void vmx_long_mode(struct vcpu *vcpu);

/* The request bits set, cleared by asking. */
uint32_t vmx_requests(struct vcpu *vcpu);

#endif
