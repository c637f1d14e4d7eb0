// SPDX-License-Identifier: BSD-2-Clause
/*
 * Buffered console output: a ring and a writing thread for each file.
 */
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RING_SIZE 8192u /* a power of two */

/*
 * The writer waits this long after the first byte, so that a line becomes one
 * write. A real line at 115,200 baud needs it for a dozen characters.
 */
#define GATHER_NANOSECONDS 500000L

struct output {
	int fd;			    /* constant */
	bool listened;		    /* constant */
	void (*on_room)(void *arg); /* constant once vCPUs run */
	void *on_room_arg;
	struct output *next; /* constant */

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t filled;
	pthread_cond_t drained;
	uint8_t ring[RING_SIZE];
	unsigned head; /* bytes ever put, modulo 2^32 */
	unsigned tail; /* bytes ever written out */
	bool waiting;  /* the writer sleeps: it must be woken */
	bool called_full;
	bool broken; /* the file has no reader: drop everything */
};

static struct output *outputs;

/* No process has the other side of the pseudo-terminal open. */
static bool has_no_reader(const struct output *output)
{
	struct pollfd query = { .fd = output->fd, .events = POLLOUT };

	return output->listened && poll(&query, 1, 0) == 1 && (query.revents & POLLHUP);
}

/* Writes what the file takes; returns the number of bytes handled, -1 if it takes no more. */
static ssize_t write_some(const struct output *output, const uint8_t *data, size_t length)
{
	struct pollfd query = { .fd = output->fd, .events = POLLOUT };
	ssize_t written;

	if (has_no_reader(output))
		return (ssize_t)length;
	written = write(output->fd, data, length);
	if (written >= 0)
		return written;
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN) {
		poll(&query, 1, -1);
		return 0;
	}
	return output->listened ? (ssize_t)length : -1;
}

/* With the lock held; it is released during the write. */
static void write_chunk(struct output *output)
{
	unsigned start = output->tail % RING_SIZE;
	unsigned length = output->head - output->tail;
	ssize_t written;

	if (length > RING_SIZE - start)
		length = RING_SIZE - start;
	if (!output->broken) {
		pthread_mutex_unlock(&output->lock);
		written = write_some(output, output->ring + start, length);
		pthread_mutex_lock(&output->lock);
		if (written < 0)
			output->broken = true;
		else
			length = (unsigned)written;
	}
	output->tail += length;
}

static void wait_for_bytes(struct output *output)
{
	const struct timespec gather = { .tv_nsec = GATHER_NANOSECONDS };

	while (output->head == output->tail) {
		pthread_cond_broadcast(&output->drained);
		output->waiting = true;
		pthread_cond_wait(&output->filled, &output->lock);
	}
	output->waiting = false;
	if (!output->called_full) {
		pthread_mutex_unlock(&output->lock);
		nanosleep(&gather, NULL);
		pthread_mutex_lock(&output->lock);
	}
}

static void announce_room(struct output *output)
{
	if (!output->called_full || output->head - output->tail > RING_SIZE / 2)
		return;
	output->called_full = false;
	pthread_cond_broadcast(&output->drained);
	if (!output->on_room)
		return;
	/* Lock order: the listener's lock, then ours, since a UART puts with its own held. */
	pthread_mutex_unlock(&output->lock);
	output->on_room(output->on_room_arg);
	pthread_mutex_lock(&output->lock);
}

static void *write_forever(void *arg)
{
	struct output *output = arg;

	pthread_mutex_lock(&output->lock);
	for (;;) {
		wait_for_bytes(output);
		write_chunk(output);
		announce_room(output);
	}
	return NULL;
}

static struct output *output_new(int fd, bool listened)
{
	struct output *output = calloc(1, sizeof(*output));
	pthread_t thread;
	int error;

	if (!output)
		return NULL;
	output->fd = fd;
	output->listened = listened;
	pthread_mutex_init(&output->lock, NULL);
	pthread_cond_init(&output->filled, NULL);
	pthread_cond_init(&output->drained, NULL);
	error = pthread_create(&thread, NULL, write_forever, output);
	if (error) {
		free(output);
		errno = error;
		return NULL;
	}
	pthread_setname_np(thread, "console");
	pthread_detach(thread);
	return output;
}

struct output *output_open(int fd, bool listened)
{
	struct output *output;

	for (output = outputs; output; output = output->next)
		if (output->fd == fd)
			return output;
	output = output_new(fd, listened);
	if (!output)
		return NULL;
	output->next = outputs;
	outputs = output;
	return output;
}

void output_on_room(struct output *output, void (*ready)(void *arg), void *arg)
{
	output->on_room = ready;
	output->on_room_arg = arg;
}

/* With the lock held; returns whether the writer sleeps and must be woken. */
static bool put_byte(struct output *output, uint8_t byte)
{
	bool wake = output->waiting;
	unsigned length = output->head - output->tail;

	if (length < RING_SIZE) {
		output->ring[output->head++ % RING_SIZE] = byte;
		length++;
	}
	if (length > RING_SIZE - OUTPUT_RESERVE)
		output->called_full = true;
	output->waiting = false;
	return wake;
}

bool output_put(struct output *output, uint8_t byte)
{
	bool room;
	bool wake;

	pthread_mutex_lock(&output->lock);
	wake = put_byte(output, byte);
	room = !output->called_full;
	pthread_mutex_unlock(&output->lock);
	if (wake)
		pthread_cond_signal(&output->filled);
	return room;
}

void output_put_all(struct output *output, uint8_t byte)
{
	bool wake;

	pthread_mutex_lock(&output->lock);
	while (output->called_full)
		pthread_cond_wait(&output->drained, &output->lock);
	wake = put_byte(output, byte);
	pthread_mutex_unlock(&output->lock);
	if (wake)
		pthread_cond_signal(&output->filled);
}

void output_flush_all(unsigned milliseconds)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += milliseconds / 1000;
	deadline.tv_nsec += (long)(milliseconds % 1000) * 1000000L;
	if (deadline.tv_nsec >= 1000000000L) {
		deadline.tv_sec++;
		deadline.tv_nsec -= 1000000000L;
	}
	for (struct output *output = outputs; output; output = output->next) {
		int error = 0;

		pthread_mutex_lock(&output->lock);
		while (output->head != output->tail && error != ETIMEDOUT)
			error = pthread_cond_timedwait(&output->drained, &output->lock, &deadline);
		pthread_mutex_unlock(&output->lock);
	}
}
