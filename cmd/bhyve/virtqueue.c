// SPDX-License-Identifier: BSD-2-Clause
/* Split virtqueues; virtqueue.h. */
#include "virtqueue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Virtio 1.2, 2.7.5 to 2.7.8; little-endian, as this host is. */
struct virtqueue_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};
#define DESCRIPTOR_NEXT	    0x1u
#define DESCRIPTOR_WRITE    0x2u
#define DESCRIPTOR_INDIRECT 0x4u

struct virtqueue_available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[];
};
#define AVAILABLE_NO_INTERRUPT 0x1u

struct virtqueue_used_element {
	uint32_t head;
	uint32_t length;
};

struct virtqueue_used {
	uint16_t flags;
	uint16_t index;
	struct virtqueue_used_element ring[];
};
#define USED_NO_NOTIFY 0x1u

_Static_assert(sizeof(struct virtqueue_descriptor) == 16, "descriptors are 16 bytes");
_Static_assert(sizeof(struct virtqueue_used_element) == 8, "used elements are 8 bytes");

/* The guest writes what these read: one access, in order. */
static uint16_t load16(const uint16_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static void store16(uint16_t *to, uint16_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

/* --- life -------------------------------------------------------------------------- */

/* 'more' is for the event index behind each ring. */
static size_t available_length(unsigned size)
{
	return sizeof(struct virtqueue_available) + (size + 1) * sizeof(uint16_t);
}

static size_t used_length(unsigned size)
{
	return sizeof(struct virtqueue_used) + size * sizeof(struct virtqueue_used_element) +
	       sizeof(uint16_t);
}

static bool is_power_of_two(unsigned value)
{
	return value && !(value & (value - 1));
}

int virtqueue_start(struct virtqueue *queue, struct vmctx *ctx)
{
	if (!is_power_of_two(queue->size) || queue->size > VIRTQUEUE_SIZE_MAX)
		return -EINVAL;
	if (queue->descriptors_gpa % 16 || queue->available_gpa % 2 || queue->used_gpa % 4)
		return -EINVAL;
	queue->ctx = ctx;
	queue->descriptors = vm_map_gpa(ctx, queue->descriptors_gpa,
					queue->size * sizeof(struct virtqueue_descriptor));
	queue->available = vm_map_gpa(ctx, queue->available_gpa, available_length(queue->size));
	queue->used = vm_map_gpa(ctx, queue->used_gpa, used_length(queue->size));
	if (!queue->descriptors || !queue->available || !queue->used)
		return -EFAULT;
	queue->next_available = 0;
	queue->next_used = 0;
	queue->signalled_used = 0;
	__atomic_store_n(&queue->ready, true, __ATOMIC_RELEASE);
	return 0;
}

void virtqueue_reset(struct virtqueue *queue)
{
	__atomic_store_n(&queue->ready, false, __ATOMIC_RELEASE);
	*queue = (struct virtqueue){ .size = VIRTQUEUE_SIZE_MAX };
}

/* --- taking ------------------------------------------------------------------------ */

/* Add a buffer; readable ones come before writable ones (2.7.4.2). */
static int chain_add(struct virtqueue *queue, struct virtqueue_chain *chain,
		     const struct virtqueue_descriptor *descriptor)
{
	bool write = descriptor->flags & DESCRIPTOR_WRITE;
	unsigned count = chain->readable + chain->writable;
	void *address;

	if (count == VIRTQUEUE_SEGMENTS || (!write && chain->writable) || !descriptor->length)
		return -EINVAL;
	address = vm_map_gpa(queue->ctx, descriptor->address, descriptor->length);
	if (!address)
		return -EINVAL;
	chain->iov[count] = (struct iovec){ .iov_base = address, .iov_len = descriptor->length };
	if (write) {
		chain->writable++;
		chain->writable_bytes += descriptor->length;
	} else {
		chain->readable++;
		chain->readable_bytes += descriptor->length;
	}
	return 0;
}

/* A table of descriptors in memory: no more than 'count' of them are followed, from 'index' on. */
struct descriptor_table {
	const struct virtqueue_descriptor *descriptors;
	unsigned count;
};

/* Copied, so that what has been checked is what is used. */
static int table_read(const struct descriptor_table *table, unsigned index,
		      struct virtqueue_descriptor *descriptor)
{
	if (index >= table->count)
		return -EINVAL;
	memcpy(descriptor, &table->descriptors[index], sizeof(*descriptor));
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}

/* Follow the chain within one table. An indirect descriptor comes out in 'last'. */
static int chain_follow(struct virtqueue *queue, struct virtqueue_chain *chain,
			const struct descriptor_table *table, unsigned index,
			struct virtqueue_descriptor *last)
{
	for (unsigned turn = 0; turn < table->count; turn++) {
		int error = table_read(table, index, last);

		if (!error && !(last->flags & DESCRIPTOR_INDIRECT))
			error = chain_add(queue, chain, last);
		if (error || (last->flags & DESCRIPTOR_INDIRECT) ||
		    !(last->flags & DESCRIPTOR_NEXT))
			return error;
		index = last->next;
	}
	return -EINVAL;
}

/* A table elsewhere in memory; it is the end of the chain, and has no such in it (2.7.5.3.1). */
static int chain_follow_indirect(struct virtqueue *queue, struct virtqueue_chain *chain,
				 const struct virtqueue_descriptor *descriptor)
{
	struct descriptor_table table = {
		.count = descriptor->length / sizeof(struct virtqueue_descriptor),
	};
	struct virtqueue_descriptor last;
	int error;

	if (descriptor->length % sizeof(struct virtqueue_descriptor) || !table.count ||
	    (descriptor->flags & DESCRIPTOR_NEXT))
		return -EINVAL;
	table.descriptors = vm_map_gpa(queue->ctx, descriptor->address, descriptor->length);
	if (!table.descriptors || descriptor->address % 8)
		return -EINVAL;
	if (table.count > VIRTQUEUE_SEGMENTS)
		table.count = VIRTQUEUE_SEGMENTS;
	error = chain_follow(queue, chain, &table, 0, &last);
	return error ? error : last.flags & DESCRIPTOR_INDIRECT ? -EINVAL : 0;
}

int virtqueue_take(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	struct descriptor_table table = { queue->descriptors, queue->size };
	uint16_t waiting = (uint16_t)(load16(&queue->available->index) - queue->next_available);
	struct virtqueue_descriptor last;
	int error;

	if (waiting == 0)
		return 0;
	if (waiting > queue->size)
		return -EINVAL;
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	chain->head = load16(&queue->available->ring[queue->next_available & (queue->size - 1)]);
	queue->next_available++;
	error = chain_follow(queue, chain, &table, chain->head, &last);
	if (!error && (last.flags & DESCRIPTOR_INDIRECT))
		error = chain_follow_indirect(queue, chain, &last);
	return error ? error : 1;
}

void virtqueue_untake(struct virtqueue *queue)
{
	queue->next_available--;
}

/* --- giving back ---------------------------------------------------------- */

void virtqueue_put(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	queue->used->ring[queue->next_used & (queue->size - 1)] =
		(struct virtqueue_used_element){ .head = head, .length = written };
	queue->next_used++;
}

void virtqueue_publish(struct virtqueue *queue)
{
	store16(&queue->used->index, queue->next_used);
}

void virtqueue_give(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	virtqueue_put(queue, head, written);
	virtqueue_publish(queue);
}

/* Each side's event index lies behind the other's ring (2.7.10). */
static const uint16_t *used_event(const struct virtqueue *queue)
{
	return &queue->available->ring[queue->size];
}

static uint16_t *available_event(const struct virtqueue *queue)
{
	return (uint16_t *)&queue->used->ring[queue->size];
}

/* What has been given must be seen by whoever changes his mind about interrupts meanwhile. */
bool virtqueue_wants_interrupt(struct virtqueue *queue)
{
	uint16_t old = queue->signalled_used, event;

	atomic_thread_fence(memory_order_seq_cst);
	queue->signalled_used = queue->next_used;
	if (queue->next_used == old)
		return false;
	if (!queue->event_index)
		return !(load16(&queue->available->flags) & AVAILABLE_NO_INTERRUPT);
	event = load16(used_event(queue));
	return (uint16_t)(queue->next_used - event - 1) < (uint16_t)(queue->next_used - old);
}

bool virtqueue_enable_notify(struct virtqueue *queue)
{
	if (queue->event_index)
		store16(available_event(queue), queue->next_available);
	else
		store16(&queue->used->flags, 0);
	atomic_thread_fence(memory_order_seq_cst);
	return load16(&queue->available->index) != queue->next_available;
}

void virtqueue_disable_notify(struct virtqueue *queue)
{
	if (!queue->event_index)
		store16(&queue->used->flags, USED_NO_NOTIFY);
}

/* --- bytes in buffers ----------------------------------------------------- */

unsigned virtqueue_slice(const struct iovec *iov, unsigned count, size_t offset, size_t bytes,
			 struct iovec *part)
{
	unsigned parts = 0;

	for (unsigned i = 0; i < count && bytes; i++) {
		size_t length = iov[i].iov_len;

		if (offset >= length) {
			offset -= length;
			continue;
		}
		length -= offset;
		length = length < bytes ? length : bytes;
		part[parts++] = (struct iovec){ (char *)iov[i].iov_base + offset, length };
		bytes -= length;
		offset = 0;
	}
	return parts;
}

size_t virtqueue_copy_from(const struct iovec *iov, unsigned count, size_t offset, void *to,
			   size_t bytes)
{
	struct iovec part[VIRTQUEUE_SEGMENTS];
	unsigned parts = virtqueue_slice(iov, count, offset, bytes, part);
	size_t done = 0;

	for (unsigned i = 0; i < parts; i++) {
		memcpy((char *)to + done, part[i].iov_base, part[i].iov_len);
		done += part[i].iov_len;
	}
	return done;
}

size_t virtqueue_copy_to(const struct iovec *iov, unsigned count, size_t offset, const void *from,
			 size_t bytes)
{
	struct iovec part[VIRTQUEUE_SEGMENTS];
	unsigned parts = virtqueue_slice(iov, count, offset, bytes, part);
	size_t done = 0;

	for (unsigned i = 0; i < parts; i++) {
		memcpy(part[i].iov_base, (const char *)from + done, part[i].iov_len);
		done += part[i].iov_len;
	}
	return done;
}
