// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event loop, on epoll(7).
 */
#include "event.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 16

struct event {
	int fd; /* what epoll watches: the file or its stand-in */
	void (*ready)(void *arg);
	void *arg;
};

static int epoll_fd = -1;
static int stop_fd = -1;

static int watch_file(int operation, struct event *event)
{
	struct epoll_event request = { .events = EPOLLIN | EPOLLET, .data.ptr = event };

	return epoll_ctl(epoll_fd, operation, event->fd, &request);
}

/* The stop event has no handler: event_loop() knows it by that. */
static struct event stop_event;

int event_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	if (epoll_fd < 0 || stop_fd < 0)
		return -errno;
	stop_event.fd = stop_fd;
	return watch_file(EPOLL_CTL_ADD, &stop_event) ? -errno : 0;
}

/* A file that epoll refuses is always ready, and so is a counter above zero. */
static int watch_stand_in(struct event *event)
{
	event->fd = eventfd(1, EFD_CLOEXEC);
	if (event->fd < 0)
		return -1;
	return watch_file(EPOLL_CTL_ADD, event);
}

struct event *event_add(int fd, void (*ready)(void *arg), void *arg)
{
	struct event *event = calloc(1, sizeof(*event));
	int error;

	if (!event)
		return NULL;
	event->fd = fd;
	event->ready = ready;
	event->arg = arg;
	error = watch_file(EPOLL_CTL_ADD, event);
	if (error && errno == EPERM)
		error = watch_stand_in(event);
	if (error) {
		free(event);
		return NULL;
	}
	return event;
}

void event_again(struct event *event)
{
	/* Modifying looks at the file anew, so an edge that was missed comes. */
	watch_file(EPOLL_CTL_MOD, event);
}

/* False: the stop event was among them. */
static bool serve_events(struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct event *event = events[i].data.ptr;

		if (event == &stop_event)
			return false;
		event->ready(event->arg);
	}
	return true;
}

void event_loop(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int count;

	do {
		count = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);
		if (count < 0 && errno != EINTR)
			return;
	} while (serve_events(events, count));
}

void event_stop(void)
{
	uint64_t one = 1;
	ssize_t written = write(stop_fd, &one, sizeof(one));

	(void)written; /* cannot fail: the counter is far from its limit */
}
