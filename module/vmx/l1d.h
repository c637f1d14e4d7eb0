/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * L1TF: what the host has left in the L1 data cache is readable by a guest, and so the cache is
 * emptied where the host asks for it (os_mitigations()->flush_l1d): before the first entry after
 * other code has run on the CPU, behind an interrupt, and behind exits whose handlers go through
 * memory of the host's. Between two exits that only look at the vCPU's own state there is nothing
 * that the guest may not know. With l1tf=full it is emptied before every entry. Hosts whose guests
 * share a core with others by SMT are warned by os/: no flush helps there.
 */
#ifndef VMX_L1D_H
#define VMX_L1D_H

struct vmx_vcpu;

/* Module load and unload. 0 or -ENOMEM. sleep */
int vmx_l1d_init(void);
void vmx_l1d_fini(void);

/* As the last thing but the world switch: empty it if that is due. Loaded, interrupts off. */
void vmx_l1d_flush(const struct vmx_vcpu *vmx);

#endif
