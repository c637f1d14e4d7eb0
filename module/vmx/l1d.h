/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * L1TF: what the host has left in the L1 data cache is readable by a guest, and so the cache is
 * emptied where the host asks for it (os_mitigations()->flush_l1d): before the first entry after
 * a load, and behind an interrupt or NMI. Handlers within the inner loop see nothing but their VM:
 * its vCPUs, devices, page tables and memory. What sleeps, allocates or asks userspace leaves the
 * loop, and a load comes after it. With l1tf=full the cache is emptied before every entry. Hosts
 * whose guests share a core with others by SMT are warned by os/: no flush helps there.
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
