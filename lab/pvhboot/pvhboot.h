/* SPDX-License-Identifier: BSD-2-Clause */
/* What boot.S and pvhboot.c agree on. */
#define MAX_RANGES 32 /* of the firmware's memory map */
