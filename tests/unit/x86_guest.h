/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM with memory for the tests of module/x86, on the scripted back end
 * (fake_backend.h) with what that leaves out: MSRs, debug registers, PAE directory
 * pointers. The tests call the handlers of exits themselves; exceptions that these
 * raise stay in the vCPU.
 */
#ifndef TESTS_UNIT_X86_GUEST_H
#define TESTS_UNIT_X86_GUEST_H

#include "fake_backend.h"
#include "run/host.h"
#include "run/vm.h"
#include "x86/cpu/registers.h"
#include "x86/exits/row.h"

#define GUEST_CODE   0x1000ull	 /* where guest_code() puts instructions */
#define GUEST_MEMORY 0x400000ull /* bytes of RAM at 0 */
#define GUEST_VCPUS  8		 /* that the VM may have */

/*
 * The host's CPUID may be overridden with os_user_set_cpuid() before. Ends the test
 * on failure.
 */
struct vm *guest_create(void);
/* Frees it, and fails the test if anything is left allocated. */
void guest_destroy(struct vm *vm);
/* The back end has registers for the PAE directory pointers (as VMX), or not (as SVM). */
void guest_has_pdptes(bool has);

/*
 * Put the vCPU into flat 32-bit protected mode without paging, CPL 0, RIP at GUEST_CODE,
 * with 'length' bytes of code there, and next_rip unknown.
 */
void guest_code(struct vcpu *vcpu, const void *bytes, unsigned int length);
/* 64-bit mode as handlers see it (EFER.LMA, CS.L); code cannot be fetched. */
void guest_long_mode(struct vcpu *vcpu);
/* Host address of guest RAM. */
void *guest_memory(struct vm *vm, uint64_t gpa);

/* An exit of instruction 'op', which the handler needs the length of, as it is dispatched. */
enum exit_action guest_exit(struct vcpu *vcpu, enum exit_action (*handler)(struct vcpu *vcpu),
			    enum instruction_op op);

/* The exception raised: its vector, or -1; and its error code, -1 if it has none. */
int guest_exception(const struct vcpu *vcpu);
int64_t guest_error_code(const struct vcpu *vcpu);

#endif
