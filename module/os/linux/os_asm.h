/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's conventions for assembly in the back ends: function frames that objtool
 * understands, and returns with their mitigations.
 */
#ifndef OS_LINUX_OS_ASM_H
#define OS_LINUX_OS_ASM_H

#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>

/* clang-format off */
#define OS_FUNC_START(name) SYM_FUNC_START(name)
#define OS_FUNC_END(name) SYM_FUNC_END(name)

/* Return; with return thunks it is a jump to one. */
#define OS_RETURN RET

/*
 * Where the host wants it after an exit, fill the return stack buffer with returns to a trap,
 * or, on processors that need no more, empty it of the one entry behind the guest's. Clobbers
 * RAX and flags.
 */
#define OS_FILL_RSB                                                          \
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT,    \
			   X86_FEATURE_RSB_VMEXIT_LITE

/* What comes later does not run before what is in front has taken effect. */
#define OS_SPECULATION_BARRIER ALTERNATIVE "", "lfence", X86_FEATURE_MSR_SPEC_CTRL

/*
 * Retbleed and its relatives: make returns safe after the guest has trained their
 * predictor. Nothing where the processor does not need it. Clobbers RAX, RCX, RDX.
 */
#ifdef UNTRAIN_RET_VM
#define OS_UNTRAIN_RETURNS UNTRAIN_RET_VM
#else
#define OS_UNTRAIN_RETURNS \
	UNTRAIN_RET;       \
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
#endif

/*
 * BHI and ITS: branches of the guest steer none of the host's by their history. Clobbers RAX,
 * RCX and flags.
 */
#if defined(X86_FEATURE_CLEAR_BHB_VMEXIT) || defined(X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT)
#define OS_CLEAR_BRANCH_HISTORY CLEAR_BRANCH_HISTORY_VMEXIT
#else
#define OS_CLEAR_BRANCH_HISTORY
#endif
/* clang-format on */

#endif
