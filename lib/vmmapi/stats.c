// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vCPU's counters, which the module hands out by the page.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* The module has some hundred counters; a count beyond this is not to be believed. */
#define MOST_STATS (MAX_VM_STATS * 1024)

static int make_room(struct vcpu *vcpu, size_t entries)
{
	uint64_t *stats;

	if (entries <= vcpu->stats_room)
		return 0;
	stats = realloc(vcpu->stats, entries * sizeof(*stats));
	if (!stats)
		return -1;
	vcpu->stats = stats;
	vcpu->stats_room = entries;
	return 0;
}

uint64_t *vm_get_stats(struct vcpu *vcpu, struct timeval *time, int *entries)
{
	struct vm_stats page = { .cpuid = vcpu->id };
	int count = 0;

	do {
		page.index = count;
		if (ioctl(vcpu->ctx->fd, VM_STATS, &page))
			return NULL;
		if (page.num_entries < 0 || page.num_entries > MAX_VM_STATS || count > MOST_STATS) {
			errno = EPROTO;
			return NULL;
		}
		if (make_room(vcpu, (size_t)count + MAX_VM_STATS))
			return NULL;
		memcpy(vcpu->stats + count, page.statbuf,
		       (size_t)page.num_entries * sizeof(page.statbuf[0]));
		count += page.num_entries;
	} while (page.num_entries == MAX_VM_STATS);

	if (entries)
		*entries = count;
	if (time) {
		time->tv_sec = page.tv.tv_sec;
		time->tv_usec = page.tv.tv_usec;
	}
	return vcpu->stats;
}

const char *vm_get_stat_desc(struct vmctx *ctx, int index)
{
	struct vm_stat_desc request = { .index = index };

	if (ioctl(ctx->fd, VM_STAT_DESC, &request))
		return NULL;
	request.desc[sizeof(request.desc) - 1] = '\0';
	strcpy(ctx->stat_desc, request.desc);
	return ctx->stat_desc;
}
