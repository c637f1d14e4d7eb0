// SPDX-License-Identifier: BSD-2-Clause
/*
 * Images by io_uring. The kernel's queue is filled under a lock by whoever has requests;
 * one thread waits for what has ended. Nothing else of an image is shared.
 */
#include "block.h"
#include "block_options.h"
#include "diag.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_ENTRIES   256
#define SECTOR_DEFAULT 512u

struct block {
	int file; /* constant, like all but the ring */
	uint64_t size;
	unsigned sector;
	unsigned physical_sector;
	bool readonly;
	bool sync;
	bool can_discard;
	unsigned queues;
	char serial[BLOCK_SERIAL_LENGTH + 1];

	pthread_mutex_t lock; /* the ring's submission side */
	struct io_uring ring;
};

/* --- requests ------------------------------------------------------------- */

/* The kernel takes all that has been prepared; what it cannot take now it takes later. */
static void ring_submit(struct block *block)
{
	while (io_uring_sq_ready(&block->ring) && io_uring_submit(&block->ring) == -EINTR)
		;
}

static struct io_uring_sqe *ring_entry(struct block *block)
{
	struct io_uring_sqe *entry;

	while (!(entry = io_uring_get_sqe(&block->ring)))
		ring_submit(block);
	return entry;
}

static void prepare(struct block *block, struct io_uring_sqe *entry, struct block_request *request)
{
	int keep = FALLOC_FL_KEEP_SIZE;

	switch (request->operation) {
	case BLOCK_READ:
		io_uring_prep_readv(entry, block->file, request->iov, request->count,
				    request->offset);
		break;
	case BLOCK_WRITE:
		io_uring_prep_writev2(entry, block->file, request->iov, request->count,
				      request->offset,
				      request->durable || block->sync ? RWF_DSYNC : 0);
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(entry, block->file, IORING_FSYNC_DATASYNC);
		break;
	case BLOCK_DISCARD:
		io_uring_prep_fallocate(entry, block->file, keep | FALLOC_FL_PUNCH_HOLE,
					(off_t)request->offset, (off_t)request->bytes);
		break;
	case BLOCK_ZERO:
		keep |= request->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
		io_uring_prep_fallocate(entry, block->file, keep, (off_t)request->offset,
					(off_t)request->bytes);
		break;
	}
	io_uring_sqe_set_data(entry, request);
}

void block_add(struct block *block, struct block_request *request)
{
	pthread_mutex_lock(&block->lock);
	prepare(block, ring_entry(block), request);
	pthread_mutex_unlock(&block->lock);
}

void block_submit(struct block *block)
{
	pthread_mutex_lock(&block->lock);
	ring_submit(block);
	pthread_mutex_unlock(&block->lock);
}

/* --- their end ------------------------------------------------------------ */

static bool moves_data(const struct block_request *request)
{
	return request->operation == BLOCK_READ || request->operation == BLOCK_WRITE;
}

/* The kernel may do a part only: the rest is a request like the first. */
static void request_advance(struct block_request *request, size_t bytes)
{
	struct iovec rest[VIRTQUEUE_SEGMENTS];

	request->count =
		virtqueue_slice(request->iov, request->count, bytes, request->bytes - bytes, rest);
	memcpy(request->iov, rest, request->count * sizeof(rest[0]));
	request->offset += bytes;
	request->bytes -= bytes;
}

static void request_ended(struct block *block, struct block_request *request, int result)
{
	bool again = result == -EAGAIN || result == -EINTR;

	/* No byte of what is within the image: it has been cut shorter meanwhile. */
	if (moves_data(request) && result == 0 && request->bytes)
		result = -EIO;
	if (moves_data(request) && result > 0 && (uint64_t)result < request->bytes) {
		request_advance(request, (size_t)result);
		again = true;
	}
	if (!again) {
		request->done(request, result < 0 ? result : 0);
		return;
	}
	block_add(block, request);
	block_submit(block);
}

static void *ring_thread(void *arg)
{
	struct block *block = arg;
	struct io_uring_cqe *entry;

	for (;;) {
		struct block_request *request;
		int error = io_uring_wait_cqe(&block->ring, &entry);
		int result;

		if (error == -EINTR)
			continue;
		if (error) {
			complain("the thread of a disk: %s", strerror(-error));
			return NULL;
		}
		request = io_uring_cqe_get_data(entry);
		result = entry->res;
		io_uring_cqe_seen(&block->ring, entry);
		request_ended(block, request, result);
	}
}

static int ring_start(struct block *block)
{
	pthread_t thread;
	int error = io_uring_queue_init(RING_ENTRIES, &block->ring, 0);

	if (error)
		return error;
	error = pthread_create(&thread, NULL, ring_thread, block);
	if (error) {
		io_uring_queue_exit(&block->ring);
		return -error;
	}
	pthread_detach(thread);
	return 0;
}

/* --- opening -------------------------------------------------------------- */

static int image_open(const struct block_options *options)
{
	int flags = (options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;

	return open(options->path, flags | (options->direct ? O_DIRECT : 0));
}

static bool image_measure(struct block *block, const struct block_options *options,
			  const char **why)
{
	unsigned logical = SECTOR_DEFAULT, physical = SECTOR_DEFAULT;
	struct stat status;

	*why = NULL;
	if (fstat(block->file, &status))
		return false;
	block->size = (uint64_t)status.st_size;
	if (S_ISBLK(status.st_mode)) {
		if (ioctl(block->file, BLKGETSIZE64, &block->size) ||
		    ioctl(block->file, BLKSSZGET, &logical) ||
		    ioctl(block->file, BLKPBSZGET, &physical))
			return false;
	} else if (!S_ISREG(status.st_mode)) {
		*why = "neither a file nor a block device";
		return false;
	}
	block->sector = options->sector ? options->sector : logical;
	block->physical_sector = options->physical_sector ? options->physical_sector : physical;
	if (block->size == 0)
		*why = "it is empty";
	else if (block->size % block->sector)
		*why = "its size is no multiple of the sector's";
	return !*why;
}

/* Two guests that write one image destroy it. */
static bool image_lock(const struct block *block)
{
	return flock(block->file, (block->readonly ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0;
}

static struct block *block_new(const struct block_options *options)
{
	struct block *block = calloc(1, sizeof(*block));

	if (!block)
		return NULL;
	block->readonly = options->readonly;
	block->sync = options->sync;
	block->can_discard = !options->readonly;
	block->queues = options->queues;
	strcpy(block->serial, options->serial);
	pthread_mutex_init(&block->lock, NULL);
	block->file = image_open(options);
	return block;
}

static struct block *open_failed(const char *who, const struct block_options *options,
				 struct block *block, const char *why)
{
	complain("%s: %s: %s", who, options->path, why);
	if (block && block->file >= 0)
		close(block->file);
	free(block);
	free(options->path);
	return NULL;
}

struct block *block_open(const char *who, const char *text)
{
	struct block_options options;
	const char *why = block_options_parse(&options, text);
	struct block *block;
	int error;

	if (why) {
		complain("%s: %s", who, why);
		free(options.path);
		return NULL;
	}
	block = block_new(&options);
	if (!block || block->file < 0)
		return open_failed(who, &options, block, strerror(errno));
	if (!image_measure(block, &options, &why))
		return open_failed(who, &options, block, why ? why : strerror(errno));
	if (!image_lock(block))
		return open_failed(who, &options, block,
				   errno == EWOULDBLOCK ? "another bhyve has it" : strerror(errno));
	error = ring_start(block);
	if (error == -EPERM || error == -ENOSYS)
		return open_failed(who, &options, block,
				   "this host's kernel lets nobody use io_uring "
				   "(sysctl kernel.io_uring_disabled)");
	if (error)
		return open_failed(who, &options, block, strerror(-error));
	free(options.path);
	return block;
}

uint64_t block_size(const struct block *block)
{
	return block->size;
}

unsigned block_sector_size(const struct block *block)
{
	return block->sector;
}

unsigned block_physical_sector_size(const struct block *block)
{
	return block->physical_sector;
}

bool block_is_readonly(const struct block *block)
{
	return block->readonly;
}

bool block_can_discard(const struct block *block)
{
	return block->can_discard;
}

const char *block_serial(const struct block *block)
{
	return block->serial;
}

unsigned block_queues(const struct block *block)
{
	return block->queues;
}
