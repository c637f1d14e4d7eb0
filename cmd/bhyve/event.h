/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: the main thread waits here for input of consoles, for
 * signals and for the end of the run, while the vCPUs have threads of their own.
 */
#ifndef BHYVE_EVENT_H
#define BHYVE_EVENT_H

struct event;

/* 0 or a negative errno. Once, before anything else here. */
int event_init(void);

/*
 * Call 'ready' in the event loop each time 'fd' gets something to read, and
 * once at first. Events are edge triggered: 'ready' must read until nothing is
 * left, or call event_again() when it can read on. A file
 * that cannot be waited for (a regular file, /dev/null) is always ready. The
 * event lasts as long as the process. NULL with errno set. Any thread.
 */
struct event *event_add(int fd, void (*ready)(void *arg), void *arg);

/* Have 'ready' called again if there is something to read. Any thread. */
void event_again(struct event *event);

/* Serve events until event_stop(). The main thread. */
void event_loop(void);

/* Make event_loop() return, now or when it is called. Any thread. */
void event_stop(void);

#endif
