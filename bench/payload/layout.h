/* SPDX-License-Identifier: BSD-2-Clause */
/* What the payload and the runner agree on. */
#ifndef BENCH_LAYOUT_H
#define BENCH_LAYOUT_H

#define BENCH_MIB 0x100000ul

/*
 * Guest-physical. The image is entered at its first byte, in long mode with RDI at the start
 * info of a PVH kernel and CR3 at tables that map the first GiB to itself: Bochs 2.7
 * does not bring a vCPU from 32 bits to long mode under KVM on AMD.
 */
#define BENCH_IMAGE	   (1 * BENCH_MIB)
#define BENCH_START_INFO   0x1000ul
#define BENCH_COMMAND_LINE 0x1100ul
#define BENCH_TABLES	   0x10000ul /* PML4, page of pointers, directory */
#define BENCH_MEMORY	   (128 * BENCH_MIB)

/* Memory that the runner touches before the guest runs, and memory nobody touches. */
#define BENCH_PAGE   (2 * BENCH_MIB)
#define BENCH_PAGES  16
#define BENCH_BACKED (32 * BENCH_MIB)
#define BENCH_FRESH  (64 * BENCH_MIB)

#define BENCH_CR0  0x80010033ul /* PG, WP, NE, ET, MP, PE */
#define BENCH_CR4  0x620ul	/* PAE, OSFXSR, OSXMMEXCPT */
#define BENCH_EFER 0xd01ul	/* NXE, LMA, LME, SCE */

/* Where the runner has devices: ports for text and for the end, one without effect, MMIO. */
#define BENCH_PORT_TEXT 0xe9
#define BENCH_PORT_END	0xf4
#define BENCH_PORT	0x3e8
#define BENCH_MMIO	0xd0000000ul

#endif
