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
 * Fill the return stack buffer (32 entries) with returns to a trap. Each turn makes
 * two calls and drops what they pushed. Clobbers RAX and flags.
 */
.macro OS_FILL_RSB
	mov	$16, %eax
.Lfill_\@:
	ANNOTATE_INTRA_FUNCTION_CALL
	call	.Lfirst_\@
	int3
.Lfirst_\@:
	ANNOTATE_INTRA_FUNCTION_CALL
	call	.Lsecond_\@
	int3
.Lsecond_\@:
	add	$16, %rsp
	dec	%eax
	jnz	.Lfill_\@
	lfence
.endm

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
/* clang-format on */

#endif
