/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real-time clock, an MC146818A with 128 bytes (ports 0x70 and 0x71): time of
 * day, the century in NVRAM at 0x32, alarm, periodic and update-ended interrupts on
 * IRQ 8, and NVRAM. A spinlock of its own; callable from any thread and context
 * unless said otherwise.
 */
#ifndef DEV_RTC_H
#define DEV_RTC_H

#include "os/os.h"

struct vm;

#define RTC_NVRAM_SIZE 128
#define RTC_CENTURY    0x32

/* Sets vm->rtc, its clock at the host's UTC. -ENOMEM. sleep */
int rtc_create(struct vm *vm);
void rtc_destroy(struct vm *vm); /* sleep */
/* What the RESET pin does: interrupts off; time and NVRAM stay. */
void rtc_reset(struct vm *vm);
void rtc_stop(struct vm *vm); /* No host timer runs until the guest programs one. sleep */
/* Catch up, and arm the host timers that were left off (vm/timer.h). */
void rtc_resume(struct vm *vm);

/* One byte at port 0x70 (index) or 0x71 (data). Reading 0x70 gives 0xff. */
uint8_t rtc_port_read(struct vm *vm, uint16_t port);
void rtc_port_write(struct vm *vm, uint16_t port, uint8_t value);

/*
 * Seconds since 1970, UTC. settime: -EINVAL outside the years 1970-9999; sets the century
 * byte as well. gettime: the nearest, where the registers hold no date.
 */
int rtc_settime(struct vm *vm, int64_t seconds);
int64_t rtc_gettime(struct vm *vm);

/*
 * Userspace's access to the bytes behind the registers. Writes only to NVRAM proper:
 * -EINVAL for the time, the status registers and the century, as in FreeBSD.
 */
int rtc_nvram_read(struct vm *vm, int offset, uint8_t *value);
int rtc_nvram_write(struct vm *vm, int offset, uint8_t value);

/* While on, IRQ 8 goes nowhere (the HPET has taken it over). */
void rtc_set_irq_masked(struct vm *vm, bool masked);

#endif
