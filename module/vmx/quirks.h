/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Bochs, the one emulator of VMX that we know, gets wrong, and how we live with it.
 * Nothing tells Bochs 2.7 from the processor it plays (no CPUID 4000_0000h), so each quirk is
 * a constant 1 and says what it costs on hardware.
 */
#ifndef VMX_QUIRKS_H
#define VMX_QUIRKS_H

/*
 * Bochs 2.7: at a fault-like exit with TF set, the pending debug exceptions (SDM vol. 3,
 * 24.4.2) hold the trap of TF already, though the instruction has done nothing yet; the
 * guest would take it before the instruction. On hardware: nothing while TF is clear, and a
 * field that is read and not changed while it is set.
 */
#define VMX_QUIRK_EARLY_STEP_TRAP 1

/*
 * Bochs 2.7: no exit for an interrupt of the host while the guest has IF clear. The
 * preemption timer, wherever there is one, ends such a guest; without it a guest that spins
 * with IF clear would hold the CPU. On hardware: an exit each hundredth of a second in which
 * there is no other; nothing per entry.
 */
#define VMX_QUIRK_IF_HOLDS_INTERRUPTS 1

/*
 * Bochs 2.7: an entry sets the blocking by NMI that the VMCS asks for, and does not end what
 * the CPU's last guest has left: until the guest's next IRET it is there, and the exit saves it
 * (SDM vol. 3, 27.3.4). Blocking that no NMI has brought, of ours or of a program's, is none.
 * On hardware: a byte that is written when an NMI is injected.
 */
#define VMX_QUIRK_NMI_BLOCKING_STAYS 1

#endif
