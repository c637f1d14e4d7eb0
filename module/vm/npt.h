/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nested page table: guest-physical to host-physical, walked by the
 * processor. One radix tree of 512-entry tables, 4 or 5 levels, in the entry
 * format of the vendor (AMD: ordinary long-mode entries, APM vol. 2, 15.25.5;
 * Intel: EPT entries, SDM vol. 3, 28.3.2).
 *
 * Entries appear by compare-and-swap, so that vCPUs may add them at the same
 * time without a lock. Entries are removed or tightened only with all vCPUs
 * frozen, followed by VCPU_REQ_FLUSH on each.
 */
#ifndef VM_NPT_H
#define VM_NPT_H

#include "os/os.h"

/* The host-physical address in an entry of either format. */
#define NPT_ADDRESS 0x000ffffffffff000ull

#define NPT_LEVEL_4K 0
#define NPT_LEVEL_2M 1
#define NPT_LEVEL_1G 2

/* Memory types of a mapping, in the encoding of PAT and EPT (SDM vol. 3, 11.3). */
#define NPT_MEMORY_UC 0
#define NPT_MEMORY_WC 1
#define NPT_MEMORY_WB 6

struct npt_format {
	uint64_t present; /* any of these bits set: the entry is in use */
	uint64_t large;	  /* bit that marks a leaf above level 0 */
	uint64_t table;	  /* bits of an entry that points to the next table */
	/* A leaf's bits without the address and without 'large'. prot: VM_PROT_*. */
	uint64_t (*leaf)(int prot, int memory_type);
	/* How deep a table of this processor is: 4 or 5. After the back end's probe. any */
	unsigned int (*levels)(void);
};

struct npt {
	uint64_t *root;	     /* host address of the top table */
	unsigned int levels; /* 4 or 5 */
	const struct npt_format *format;
};

/* Zeroed pages set aside so that a mapping can be made where sleeping is forbidden. */
#define NPT_CACHE_PAGES 5
struct npt_cache {
	void *page[NPT_CACHE_PAGES];
	unsigned int count;
};

int npt_init(struct npt *npt, const struct npt_format *format, unsigned int levels); /* sleep */
/* Frees all tables. No vCPU may run on it. sleep */
void npt_fini(struct npt *npt);

/* Fill the cache so that one npt_map cannot run short: 0 or -ENOMEM. sleep */
int npt_cache_fill(struct npt_cache *cache);
void npt_cache_free(struct npt_cache *cache); /* sleep */

/*
 * Map the 4 KiB, 2 MiB or 1 GiB page at gpa (both addresses aligned to it). 0;
 * also when it is mapped already, by this or a larger page. -ENOMEM when the cache
 * ran out (refill, try again); -EEXIST when smaller pages are in the way; -EINVAL: not
 * aligned, or beyond what the levels reach. any
 */
int npt_map(struct npt *npt, struct npt_cache *cache, uint64_t gpa, uint64_t hpa,
	    unsigned int level, int prot, int memory_type);
/*
 * Make pages of 4 KiB, with these rights, of the 2 MiB page at gpa. The rights may only grow: no
 * vCPU is told, and one that still knows the large page goes on by that. 0, also where there is
 * none; -ENOMEM as npt_map. any
 */
int npt_split(struct npt *npt, struct npt_cache *cache, uint64_t gpa, int prot, int memory_type);
/* Remove [gpa, gpa+len), splitting no page: both ends lie on page borders of what
 * is mapped there or the whole large page goes (it is faulted in again). All vCPUs frozen. sleep */
void npt_unmap(struct npt *npt, uint64_t gpa, uint64_t len);
/* The entries from the root down to gpa; their number (1..5; 0: gpa out of range). any */
unsigned int npt_lookup(const struct npt *npt, uint64_t gpa, uint64_t entries[5]);

#endif
