/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulators of SVM get wrong, and how we live with it.
 *
 * Neither QEMU 7.2 (TCG) nor Bochs 2.7 has decode assists, which real processors have had
 * since AMD's family 15h (CPUID 8000_000Ah EDX bit 7). That is the sign by which they are
 * recognized: CPUID 4000_0000h names QEMU only, and not with "-cpu ...,-hypervisor". An
 * older processor, which has none either, takes the same paths, more slowly but rightly.
 *
 * Where an emulator cannot be told from a processor, or where that would cost more than the
 * mend, the quirk is a constant 1, and what it costs on hardware is said here.
 */
#ifndef SVM_QUIRKS_H
#define SVM_QUIRKS_H

#include "svm/features.h"

static inline bool svm_quirks_possible(void)
{
	return !svm_has(SVM_FEATURE_DECODE_ASSISTS);
}

/* --- at an entry --- */

/*
 * QEMU 7.2: the interrupt shadow of STI reaches through VMRUN into the guest: an exit on its
 * first instruction would report a shadow that it has not. Several instructions lie between
 * STI and VMRUN in switch.S, all of which are needed there anyway. On hardware: nothing.
 */
#define SVM_QUIRK_STI_SHADOW 1

/* Bochs 2.7: VMRUN does not load CR2 (APM vol. 2, 15.5.1); the guest finds the host's. */
static inline bool svm_quirk_cr2_not_loaded(void)
{
	return svm_quirks_possible();
}

/*
 * QEMU 7.2: VMRUN ignores the interrupt shadow it is given, so that the exit for an
 * interrupt window comes before the instruction under it. That one is then stepped. On
 * hardware such an exit has no shadow: one test at it.
 */
#define SVM_QUIRK_SHADOW_IGNORED 1

/* --- at an exit --- */

/*
 * QEMU 7.2: a VMRUN that fails leaves the host's registers in the save area. Nobody may see
 * them, and the guest's are lost: it is as after RESET. It also reports VMEXIT_INVALID with
 * 32 bits (vmcb.h). On hardware, where this is always a defect of ours: the guest's
 * registers are lost too.
 */
#define SVM_QUIRK_INVALID_LEAVES_HOST 1

/*
 * Bochs 2.7: DR6 does not tell the cause of an intercepted #DB. A step of ours has ended if
 * an instruction is left behind and no breakpoint is to blame; the guest's own with TF set
 * was one of TF. On hardware DR6 has a cause: some tests at each #DB.
 */
#define SVM_QUIRK_DB_CAUSE_HIDDEN 1

/*
 * Bochs 2.7: EFER.LMA follows a write of CR0 before that write exits, and the instruction
 * would be looked for with the wrong kind of tables. On hardware: LMA is derived once more,
 * to what it is, at each exit for CR0.
 */
#define SVM_QUIRK_LMA_EARLY 1

/*
 * QEMU 7.2: EXITINFO1 of an INS or OUTS has no address size (APM vol. 2, 15.10.2): 0 there
 * means that the instruction is decoded. On hardware it is never 0.
 */
#define SVM_QUIRK_IO_ADDRESS_SIZE 1

/* --- what is intercepted --- */

/*
 * QEMU 7.2: a MOV to CR0 of a value that no processor takes is carried out, and the
 * intercept of selected bits (CR0_SEL_WRITE) overlooks the upper half. Every write is
 * intercepted.
 */
static inline bool svm_quirk_cr0_unchecked(void)
{
	return svm_quirks_possible();
}

/*
 * QEMU 7.2: RDMSR of PAT is not G_PAT, nor is that of TSC offset, unless intercepted. On
 * hardware: an exit for each, which guests read at boot; PAT is the guest's own in any case.
 */
#define SVM_QUIRK_PAT_TSC 1

/* --- interrupt windows (V_IRQ) --- */

/*
 * QEMU 7.2: V_IRQ is taken when its priority equals V_TPR, too (15.21.4: must be above), and
 * a MOV to CR8 while V_IRQ waits ends in an assertion of QEMU. CR8 is intercepted meanwhile,
 * and an interrupt that CR8 holds back waits for that exit instead of V_IRQ.
 */
static inline bool svm_quirk_vintr_priority(void)
{
	return svm_quirks_possible();
}

/*
 * Under an interrupt shadow QEMU 7.2 takes V_IRQ at once, and Bochs 2.7 not before the guest
 * sets IF again. The instruction there is stepped instead.
 */
static inline bool svm_quirk_vintr_under_shadow(void)
{
	return svm_quirks_possible();
}

/*
 * Bochs 2.7: with IF set at VMRUN, V_IRQ waits until the guest sets IF again. So an exit with
 * IF set that comes first counts as the window. On hardware that spares an exit.
 */
#define SVM_QUIRK_VINTR_WAITS 1

#endif
