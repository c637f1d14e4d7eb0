/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueues (Virtio 1.2, 2.7): what a driver in the guest offers, and what the
 * device has used of it. All of a queue lies in the guest's memory, which the guest may
 * change at any time: each descriptor is read once, and checked before it is used.
 */
#ifndef BHYVE_VIRTQUEUE_H
#define BHYVE_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmmapi.h>

#define VIRTQUEUE_SIZE_MAX 256u
#define VIRTQUEUE_SEGMENTS 130u /* of one chain: 128 of data, a header and a status */

struct virtqueue_descriptor;
struct virtqueue_available;
struct virtqueue_used;

struct virtqueue {
	/* What the guest has set up; constant while 'ready'. */
	struct vmctx *ctx;
	uint16_t size; /* a power of two up to VIRTQUEUE_SIZE_MAX */
	uint64_t descriptors_gpa;
	uint64_t available_gpa;
	uint64_t used_gpa;
	bool event_index; /* VIRTIO_F_EVENT_IDX has been agreed on */
	bool ready;	  /* atomic: the pointers below are valid */

	/* Of the thread that serves the queue, or under its device's lock. */
	const struct virtqueue_descriptor *descriptors;
	struct virtqueue_available *available;
	struct virtqueue_used *used;
	uint16_t next_available; /* the next entry to be taken */
	uint16_t next_used;	 /* the next entry to be filled */
	uint16_t signalled_used; /* next_used when an interrupt was last considered */
};

/* One request: buffers that the device reads, then those that it writes. */
struct virtqueue_chain {
	uint16_t head;
	unsigned readable; /* of iov[] */
	unsigned writable; /* of iov[], behind them */
	size_t readable_bytes;
	size_t writable_bytes;
	struct iovec iov[VIRTQUEUE_SEGMENTS];
};

/*
 * The guest has set the queue up: find its parts in memory. 0, or -EFAULT where one is not
 * in the guest's RAM, -EINVAL for a bad size or alignment. Not ready before.
 */
int virtqueue_start(struct virtqueue *queue, struct vmctx *ctx);
/* Forget everything about it, as after a reset. Nobody serves it. */
void virtqueue_reset(struct virtqueue *queue);

/*
 * Take the next request: 1; 0 when there is none; -EINVAL when the guest has broken the
 * queue (a loop, a chain too long, memory that is not RAM): the device needs a reset.
 */
int virtqueue_take(struct virtqueue *queue, struct virtqueue_chain *chain);
/* The last one taken was not served: it is the next one again. */
void virtqueue_untake(struct virtqueue *queue);
/* Give a request back, 'written' bytes of its writable buffers filled in. */
void virtqueue_give(struct virtqueue *queue, uint16_t head, uint32_t written);
/*
 * The same of several at once (virtio-net's mergeable buffers): the guest sees none of
 * them before virtqueue_publish().
 */
void virtqueue_put(struct virtqueue *queue, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *queue);
/* Does the guest want an interrupt for what has been given since the last question? */
bool virtqueue_wants_interrupt(struct virtqueue *queue);
/*
 * Ask the guest to notify us of new requests, or not to. Asked to: true if there is a new
 * one already, which may have come without a notification.
 */
bool virtqueue_enable_notify(struct virtqueue *queue);
void virtqueue_disable_notify(struct virtqueue *queue);

/* --- bytes in buffers ----------------------------------------------------------- */

/* Copy from or to the buffers iov[0..count), from byte 'offset' of them on: bytes copied. */
size_t virtqueue_copy_from(const struct iovec *iov, unsigned count, size_t offset, void *to,
			   size_t bytes);
size_t virtqueue_copy_to(const struct iovec *iov, unsigned count, size_t offset, const void *from,
			 size_t bytes);
/* The part [offset, offset + bytes) of buffers as buffers: how many, at most 'count'. */
unsigned virtqueue_slice(const struct iovec *iov, unsigned count, size_t offset, size_t bytes,
			 struct iovec *part);

#endif
