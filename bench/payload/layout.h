/* SPDX-License-Identifier: BSD-2-Clause */
/* What the payload and the runner agree on. */
#ifndef BENCH_LAYOUT_H
#define BENCH_LAYOUT_H

#define BENCH_MIB 0x100000ul

/* Guest-physical. The image is entered at its first byte, as a PVH kernel is. */
#define BENCH_IMAGE	   (1 * BENCH_MIB)
#define BENCH_START_INFO   0x1000ul
#define BENCH_COMMAND_LINE 0x1100ul
#define BENCH_MEMORY	   (128 * BENCH_MIB)

/* Memory that the runner touches before the guest runs, and memory nobody touches. */
#define BENCH_PAGE    (2 * BENCH_MIB)
#define BENCH_PAGES   16
#define BENCH_BACKED  (32 * BENCH_MIB)
#define BENCH_FRESH   (64 * BENCH_MIB)

/* Where the runner has devices: ports for text and for the end, one nobody minds, MMIO. */
#define BENCH_PORT_TEXT 0xe9
#define BENCH_PORT_END	0xf4
#define BENCH_PORT	0x3e8
#define BENCH_MMIO	0xd0000000ul

#endif
