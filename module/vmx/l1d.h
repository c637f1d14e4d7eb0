/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * L1TF: what the host has left in the L1 data cache is readable by a guest, and so the cache is
 * emptied before each entry where the host asks for it (os_mitigations()->flush_l1d). Hosts whose
 * guests share a core with others by SMT are warned by os/: no flush helps there.
 */
#ifndef VMX_L1D_H
#define VMX_L1D_H

/* Module load and unload. 0 or -ENOMEM. sleep */
int vmx_l1d_init(void);
void vmx_l1d_fini(void);

/* Interrupts off, as the last thing but the world switch. */
void vmx_l1d_flush(void);

#endif
