/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's instruction emulator, for VMM processes that use vm_run(): what they
 * do with an INST_EMUL exit. (With vm_run_reply() the module emulates, and single
 * accesses exit to userspace.) Names and arguments are FreeBSD's.
 *
 * A VMM process either calls vmm_emulate_instruction() right away, and RIP is taken
 * care of; or, as bhyve does, first vmm_decode_instruction(), then sets RIP to the
 * exit's rip + vie->num_processed, then vmm_emulate_instruction().
 */
#ifndef VMM_MACHINE_VMM_INSTRUCTION_EMUL_H
#define VMM_MACHINE_VMM_INSTRUCTION_EMUL_H

#include <vmm/vmm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vcpu;

/*
 * One access to device memory, of 1, 2, 4 or 8 bytes, from vmm_emulate_instruction().
 * Returns 0 or an errno, which vmm_emulate_instruction() then returns.
 */
typedef int (*mem_region_read_t)(struct vcpu *vcpu, uint64_t gpa, uint64_t *rval, int rsize,
				 void *arg);
typedef int (*mem_region_write_t)(struct vcpu *vcpu, uint64_t gpa, uint64_t wval, int wsize,
				  void *arg);

/* Forgets what has been decoded; the bytes stay. */
void vie_restart(struct vie *vie);

/* Begins with 'inst_length' bytes, of which VIE_INST_SIZE are kept. */
void vie_init(struct vie *vie, const char *inst_bytes, int inst_length);

/*
 * Decodes the instruction in 'vie'; 'csd' is CS.D. Returns 0 with num_processed
 * and decoded set, or -1: undefined, longer than the bytes there are, or none that
 * the emulator could carry out.
 */
int vmm_decode_instruction(enum vm_cpu_mode cpu_mode, int csd, struct vie *vie);

/*
 * Carries out the instruction that faulted at 'gpa'. Accesses to system memory are
 * done here, with the guest's page tables honoured; all others go to 'mrr' and
 * 'mrw'. Returns 0 when the vCPU can be run: registers and RIP are as after the
 * instruction (after one iteration, with REP), or an exception is pending in the
 * guest. Otherwise an errno, with the vCPU unchanged: EINVAL for what cannot be
 * emulated (vector registers among it). The vCPU must not run.
 */
int vmm_emulate_instruction(struct vcpu *vcpu, uint64_t gpa, struct vie *vie,
			    struct vm_guest_paging *paging, mem_region_read_t mrr,
			    mem_region_write_t mrw, void *mrarg);

/*
 * What there is to check of an operand of 'length' or 'operand_size' bytes (1, 2, 4, 8), for
 * emulators of a program's own. vie_alignment_check(): 1 if it raises #AC, else 0.
 * vie_canonical_check(): 1 if the address is not canonical, else 0.
 */
int vie_alignment_check(int cpl, int operand_size, uint64_t cr0, uint64_t rflags, uint64_t gla);
int vie_canonical_check(enum vm_cpu_mode cpu_mode, uint64_t gla);

/* The low 'size' bytes of a number. */
uint64_t vie_size2mask(int size);

/*
 * The linear address of offset 'off', cut to 'addrsize' bytes, in a segment for an access 'prot'
 * (VM_PROT_READ, VM_PROT_WRITE). 0, or -1: the segment does not allow it, which is #SS for
 * VM_REG_GUEST_SS and else #GP. Whether it is canonical is for vie_canonical_check() to say.
 */
int vie_calculate_gla(enum vm_cpu_mode cpu_mode, enum vm_reg_name seg, struct seg_desc *desc,
		      uint64_t off, int length, int addrsize, int prot, uint64_t *gla);

/* Sets the low 'size' (1, 2, 4, 8) bytes of a register as an instruction would. */
int vie_update_register(struct vcpu *vcpu, enum vm_reg_name reg, uint64_t val, int size);

#ifdef __cplusplus
}
#endif

#endif
