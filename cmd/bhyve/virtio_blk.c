// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio block device (Virtio 1.2, 5.2). A request goes to the image in the thread of
 * the vCPU that notified; it is given back in the image's own thread.
 */
#include "block.h"
#include "block_options.h"
#include "diag.h"
#include "virtio.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u

#define F_SEG_MAX      (UINT64_C(1) << 2)
#define F_READONLY     (UINT64_C(1) << 5)
#define F_BLK_SIZE     (UINT64_C(1) << 6)
#define F_FLUSH	       (UINT64_C(1) << 9)
#define F_TOPOLOGY     (UINT64_C(1) << 10)
#define F_QUEUES       (UINT64_C(1) << 12)
#define F_DISCARD      (UINT64_C(1) << 13)
#define F_WRITE_ZEROES (UINT64_C(1) << 14)

enum request_type {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
	TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13,
};

#define STATUS_OK	   0
#define STATUS_IOERR	   1
#define STATUS_UNSUPPORTED 2

struct request_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector; /* of 512 bytes, whatever the disk's are */
};

/* What DISCARD and WRITE_ZEROES are about. One of these in a request is what we offer. */
struct request_range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};
#define RANGE_UNMAP	  0x1u
#define RANGE_SECTORS_MAX (1u << 22) /* 2 GiB */

/* Virtio 1.2, 5.2.4 */
struct blk_config {
	uint64_t capacity;
	uint32_t size_max;
	uint32_t seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exponent;
	uint8_t alignment_offset;
	uint16_t min_io_size;
	uint32_t optimal_io_size;
	uint8_t writeback;
	uint8_t reserved;
	uint16_t queues;
	uint32_t discard_sectors_max, discard_segments_max, discard_alignment;
	uint32_t zeroes_sectors_max, zeroes_segments_max;
	uint8_t zeroes_may_unmap;
	uint8_t reserved2[3];
} __attribute__((packed));
_Static_assert(sizeof(struct blk_config) == 60, "the layout of 5.2.4");

struct blk;

struct blk_request {
	struct block_request block; /* first */
	struct blk *blk;	    /* constant */
	unsigned queue;		    /* constant */
	struct blk_request *next_free;
	uint16_t head;
	uint8_t *status; /* in the guest's memory */
	uint32_t written;
};

struct blk {
	struct virtio virtio; /* first */
	struct block *block;  /* constant, like the next */
	struct blk_config config;
	bool durable; /* the driver does not flush; virtio->lock to change, while idle */

	/* Each queue's, under its lock. */
	struct blk_request *requests[BLOCK_QUEUES_MAX];
	struct blk_request *free[BLOCK_QUEUES_MAX];

	pthread_mutex_t lock; /* innermost; for the rest */
	pthread_cond_t idle;
	unsigned in_flight;
};

/* --- the end of a request ------------------------------------------------- */

static void blk_leave_flight(struct blk *blk)
{
	pthread_mutex_lock(&blk->lock);
	if (--blk->in_flight == 0)
		pthread_cond_broadcast(&blk->idle);
	pthread_mutex_unlock(&blk->lock);
}

/* With the queue's lock. A queue that has been reset meanwhile gets nothing any more. */
static void blk_give(struct blk_request *request, uint8_t status)
{
	struct blk *blk = request->blk;
	struct virtqueue *queue = &blk->virtio.queue[request->queue].queue;

	*request->status = status;
	virtqueue_give(queue, request->head, request->written + 1);
	request->next_free = blk->free[request->queue];
	blk->free[request->queue] = request;
}

static void blk_request_done(struct block_request *block, int error)
{
	struct blk_request *request = (struct blk_request *)block;
	struct blk *blk = request->blk;
	unsigned queue = request->queue;
	uint8_t status = !error		      ? STATUS_OK :
			 error == -EOPNOTSUPP ? STATUS_UNSUPPORTED :
						STATUS_IOERR;

	pthread_mutex_lock(&blk->virtio.queue[queue].lock);
	blk_give(request, status);
	virtio_queue_interrupt(&blk->virtio, queue);
	pthread_mutex_unlock(&blk->virtio.queue[queue].lock);
	blk_leave_flight(blk);
}

/* --- its beginning -------------------------------------------------------- */

/* Handed in: its end is told by blk_request_done(). */
#define IN_FLIGHT (-1)

static int blk_start(struct blk_request *request, enum block_operation operation)
{
	struct blk *blk = request->blk;

	request->block.operation = operation;
	request->block.durable = blk->durable;
	pthread_mutex_lock(&blk->lock);
	blk->in_flight++;
	pthread_mutex_unlock(&blk->lock);
	block_add(blk->block, &request->block);
	return IN_FLIGHT;
}

/* Is [sector, sector + bytes) on the disk, in whole sectors of its own? Sets block.offset. */
static bool blk_place(struct blk_request *request, uint64_t sector, uint64_t bytes)
{
	const struct blk *blk = request->blk;
	uint64_t size = block_size(blk->block);
	unsigned whole = block_sector_size(blk->block);

	if (sector > size / SECTOR || bytes > size - sector * SECTOR)
		return false;
	request->block.offset = sector * SECTOR;
	request->block.bytes = bytes;
	return request->block.offset % whole == 0 && bytes % whole == 0;
}

/* The data lies behind the header, or before the status. */
static int blk_start_data(struct blk_request *request, const struct virtqueue_chain *chain,
			  const struct request_header *header)
{
	bool in = header->type == TYPE_IN;
	uint64_t bytes = in ? chain->writable_bytes - 1 : chain->readable_bytes - sizeof(*header);
	const struct iovec *iov = in ? chain->iov + chain->readable : chain->iov;
	unsigned count = in ? chain->writable : chain->readable;

	if (!blk_place(request, header->sector, bytes))
		return STATUS_IOERR;
	if (!in && block_is_readonly(request->blk->block))
		return STATUS_IOERR;
	if (bytes == 0)
		return STATUS_OK;
	request->block.count =
		virtqueue_slice(iov, count, in ? 0 : sizeof(*header), bytes, request->block.iov);
	request->written = in ? (uint32_t)bytes : 0;
	return blk_start(request, in ? BLOCK_READ : BLOCK_WRITE);
}

static int blk_start_range(struct blk_request *request, const struct virtqueue_chain *chain,
			   const struct request_header *header)
{
	struct request_range range;

	if (chain->readable_bytes != sizeof(*header) + sizeof(range))
		return STATUS_UNSUPPORTED;
	virtqueue_copy_from(chain->iov, chain->readable, sizeof(*header), &range, sizeof(range));
	if (range.flags & ~(header->type == TYPE_WRITE_ZEROES ? RANGE_UNMAP : 0))
		return STATUS_UNSUPPORTED;
	if (block_is_readonly(request->blk->block) || range.sectors > RANGE_SECTORS_MAX ||
	    !blk_place(request, range.sector, (uint64_t)range.sectors * SECTOR))
		return STATUS_IOERR;
	if (range.sectors == 0)
		return STATUS_OK;
	request->block.unmap = range.flags & RANGE_UNMAP;
	return blk_start(request, header->type == TYPE_DISCARD ? BLOCK_DISCARD : BLOCK_ZERO);
}

/* 20 bytes, without a zero behind them if the name is that long (5.2.6.2). */
static int blk_identify(struct blk_request *request, const struct virtqueue_chain *chain)
{
	char id[20] = { 0 };

	memcpy(id, block_serial(request->blk->block),
	       strnlen(block_serial(request->blk->block), sizeof(id)));
	request->written = (uint32_t)virtqueue_copy_to(
		chain->iov + chain->readable, chain->writable, 0, id,
		chain->writable_bytes - 1 < sizeof(id) ? chain->writable_bytes - 1 : sizeof(id));
	return STATUS_OK;
}

static int blk_serve(struct blk_request *request, const struct virtqueue_chain *chain)
{
	struct request_header header;

	if (virtqueue_copy_from(chain->iov, chain->readable, 0, &header, sizeof(header)) !=
	    sizeof(header))
		return STATUS_IOERR;
	switch (header.type) {
	case TYPE_IN:
	case TYPE_OUT:
		return blk_start_data(request, chain, &header);
	case TYPE_FLUSH:
		return blk_start(request, BLOCK_FLUSH);
	case TYPE_GET_ID:
		return blk_identify(request, chain);
	case TYPE_DISCARD:
	case TYPE_WRITE_ZEROES:
		return blk_start_range(request, chain, &header);
	default:
		return STATUS_UNSUPPORTED;
	}
}

/* The last byte that the device writes is the status. */
static uint8_t *status_of(const struct virtqueue_chain *chain)
{
	const struct iovec *last = &chain->iov[chain->readable + chain->writable - 1];

	return (uint8_t *)last->iov_base + last->iov_len - 1;
}

/* False: there is none, or the queue is broken. */
static bool blk_take(struct blk *blk, unsigned index)
{
	struct virtqueue *queue = &blk->virtio.queue[index].queue;
	struct blk_request *request = blk->free[index];
	struct virtqueue_chain chain;
	int taken = virtqueue_take(queue, &chain);
	int status;

	if (taken == 0)
		return false;
	/* More requests than the queue has entries: one of them is there twice. */
	if (taken < 0 || chain.writable == 0 || !request) {
		virtio_broken(&blk->virtio, index);
		return false;
	}
	blk->free[index] = request->next_free;
	request->head = chain.head;
	request->status = status_of(&chain);
	request->written = 0;
	status = blk_serve(request, &chain);
	if (status != IN_FLIGHT)
		blk_give(request, (uint8_t)status);
	return true;
}

static void blk_notify(struct virtio *virtio, unsigned index)
{
	struct blk *blk = (struct blk *)virtio;
	struct virtqueue *queue = &virtio->queue[index].queue;

	do {
		virtqueue_disable_notify(queue);
		while (blk_take(blk, index))
			;
	} while (queue->ready && virtqueue_enable_notify(queue));
	block_submit(blk->block);
	/* Those that have been answered at once. */
	if (queue->ready)
		virtio_queue_interrupt(virtio, index);
}

static void blk_drain(struct virtio *virtio)
{
	struct blk *blk = (struct blk *)virtio;

	block_submit(blk->block);
	pthread_mutex_lock(&blk->lock);
	while (blk->in_flight)
		pthread_cond_wait(&blk->idle, &blk->lock);
	pthread_mutex_unlock(&blk->lock);
}

/* A driver that cannot flush expects what it has written to be on the disk (5.2.6.2). */
static void blk_features_set(struct virtio *virtio)
{
	((struct blk *)virtio)->durable = !virtio_has(virtio, F_FLUSH);
}

/* --- configuration -------------------------------------------------------- */

static const struct virtio_type blk_type = {
	.id = 2,
	.transitional = 0x1001,
	.class = 0x01, /* mass storage, and no kind that there is a number for */
	.subclass = 0x80,
	.features_set = blk_features_set,
	.notify = blk_notify,
	.drain = blk_drain,
};

static void blk_configure(struct blk *blk)
{
	const struct block *block = blk->block;
	unsigned sector = block_sector_size(block);

	blk->config = (struct blk_config){
		.capacity = block_size(block) / SECTOR,
		.seg_max = VIRTQUEUE_SEGMENTS - 2,
		.blk_size = sector,
		.physical_block_exponent =
			(uint8_t)__builtin_ctz(block_physical_sector_size(block) / sector),
		.queues = (uint16_t)block_queues(block),
		.discard_sectors_max = RANGE_SECTORS_MAX,
		.discard_segments_max = 1,
		.discard_alignment = sector / SECTOR,
		.zeroes_sectors_max = RANGE_SECTORS_MAX,
		.zeroes_segments_max = 1,
		.zeroes_may_unmap = 1,
	};
}

static uint64_t blk_features(const struct block *block)
{
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY;

	if (block_queues(block) > 1)
		features |= F_QUEUES;
	return features | (block_can_discard(block) ? F_DISCARD | F_WRITE_ZEROES : F_READONLY);
}

static int blk_make_requests(struct blk *blk, unsigned queue)
{
	struct blk_request *requests = calloc(VIRTQUEUE_SIZE_MAX, sizeof(*requests));

	if (!requests)
		return -ENOMEM;
	blk->requests[queue] = requests;
	for (unsigned i = 0; i < VIRTQUEUE_SIZE_MAX; i++) {
		requests[i].blk = blk;
		requests[i].queue = queue;
		requests[i].block.done = blk_request_done;
		requests[i].next_free = blk->free[queue];
		blk->free[queue] = &requests[i];
	}
	return 0;
}

static int blk_init(struct pci_function *function, const char *options)
{
	struct blk *blk = calloc(1, sizeof(*blk));
	char who[32];

	if (!blk)
		return -ENOMEM;
	snprintf(who, sizeof(who), "-s %u:%u", function->slot, function->number);
	blk->block = block_open(who, options);
	if (!blk->block)
		exit(STATUS_ERROR);
	pthread_mutex_init(&blk->lock, NULL);
	pthread_cond_init(&blk->idle, NULL);
	blk_configure(blk);
	for (unsigned i = 0; i < block_queues(blk->block); i++)
		if (blk_make_requests(blk, i))
			return -ENOMEM;
	virtio_init(&blk->virtio, &blk_type, function, blk_features(blk->block),
		    block_queues(blk->block), &blk->config, sizeof(blk->config));
	return 0;
}

const struct pci_driver pci_virtio_blk = {
	.name = "virtio-blk",
	.has_settings = true,
	.summary =
		"a disk: PATH[,nocache|direct][,sync][,ro][,sectorsize=L[/P]][,serial=][,queues=]",
	.init = blk_init,
	.start = virtio_start,
	.config_read = virtio_pci_config_read,
	.config_write = virtio_pci_config_write,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
};
