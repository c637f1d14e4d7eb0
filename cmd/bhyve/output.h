/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest's console prints, on its way to a file, pipe or terminal. The
 * vCPU puts bytes into a buffer; a thread writes them out, so a slow or stopped
 * reader never holds a vCPU. The guest sees a full buffer instead.
 */
#ifndef BHYVE_OUTPUT_H
#define BHYVE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

struct output;

/*
 * The output of 'fd': the same one for all who ask for the same fd. With
 * 'listened' it is a pseudo-terminal's master: what is written while no process
 * has the other side open is lost. NULL with errno set. Before vCPUs run.
 */
struct output *output_open(int fd, bool listened);

/*
 * Have 'ready' called, in the writing thread, when a buffer that was called
 * full has room again. One listener per output. Before vCPUs run.
 */
void output_on_room(struct output *output, void (*ready)(void *arg), void *arg);

/*
 * Add a byte. Returns false when the buffer is now called full: there is room
 * for OUTPUT_RESERVE more bytes, which are lost beyond that. Any thread.
 */
bool output_put(struct output *output, uint8_t byte);

/* The same, but wait for room: for senders that cannot be stopped. Any thread. */
void output_put_all(struct output *output, uint8_t byte);

/* What a sender may still put after output_put() has returned false. */
#define OUTPUT_RESERVE 64

/* Write out what all outputs hold, but wait no longer than 'milliseconds'. */
void output_flush_all(unsigned milliseconds);

#endif
