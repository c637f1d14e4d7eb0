// SPDX-License-Identifier: BSD-2-Clause
/*
 * bhyve-slirp: a network for a guest of bhyve that needs no privileges. Frames come and go
 * as messages on standard input, a socket; libslirp plays a router with DHCP and DNS behind
 * which the guest's connections are this process's. A process of its own, because what
 * parses a guest's packets has no business in the one that has the guest's memory.
 */
#include "forward.h"
#include "common/complain.h"
#include "common/version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GUEST	     STDIN_FILENO
#define FRAME_MAX    65600
#define POLLS_MAX    4096
#define TIMERS_MAX   8
#define STATUS_ERROR 4

static const char usage_text[] =
	"usage: bhyve-slirp [[tcp|udp]:[HOST]:PORT-[GUEST]:PORT]...\n"
	"\n"
	"Started by bhyve for \"-s N,virtio-net,slirp\": plays a network on the socket that is\n"
	"its standard input. Each argument forwards a port of the host to the guest.\n";

struct timer {
	int64_t expires; /* milliseconds */
	void *opaque;
	SlirpTimerId id;
	bool used;
	bool armed;
};

static Slirp *slirp;
static struct timer timers[TIMERS_MAX];
static struct pollfd polls[POLLS_MAX];
static unsigned poll_count;

const char program_name[] = "bhyve-slirp";

/* A macro, so that the compiler sees the end. */
#define fatal(...) (complain(__VA_ARGS__), exit(STATUS_ERROR))

/* --- what libslirp asks for ----------------------------------------------- */

/* A guest that does not take its frames loses them, as on any network. */
static ssize_t guest_send(const void *frame, size_t length, void *opaque)
{
	(void)opaque;
	return send(GUEST, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void guest_error(const char *message, void *opaque)
{
	(void)message, (void)opaque; /* the guest's, who may send what it likes */
}

static int64_t clock_ns(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *timer_new(SlirpTimerId id, void *timer_opaque, void *opaque)
{
	(void)opaque;
	for (unsigned i = 0; i < TIMERS_MAX; i++)
		if (!timers[i].used) {
			timers[i] =
				(struct timer){ .used = true, .id = id, .opaque = timer_opaque };
			return &timers[i];
		}
	fatal("libslirp wants more than %d timers", TIMERS_MAX);
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->used = false;
}

static void timer_modify(void *timer, int64_t expires, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->armed = true;
	((struct timer *)timer)->expires = expires;
}

/* All files are asked for anew in each turn of the loop. */
static void poll_nothing(int fd, void *opaque)
{
	(void)fd, (void)opaque;
}

static void notify_nothing(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = guest_send,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_free = timer_free,
	.timer_mod = timer_modify,
	.register_poll_fd = poll_nothing,
	.unregister_poll_fd = poll_nothing,
	.notify = notify_nothing,
	.timer_new_opaque = timer_new,
};

/* --- the loop ------------------------------------------------------------- */

static short to_poll(int events)
{
	return (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
		       (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
		       (events & SLIRP_POLL_PRI ? POLLPRI : 0));
}

static int add_poll(int fd, int events, void *opaque)
{
	(void)opaque;
	if (poll_count == POLLS_MAX)
		return -1;
	polls[poll_count] = (struct pollfd){ .fd = fd, .events = to_poll(events) };
	return (int)poll_count++;
}

static int get_events(int index, void *opaque)
{
	short events = index < 0 ? 0 : polls[index].revents;

	(void)opaque;
	return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & POLLPRI ? SLIRP_POLL_PRI : 0) | (events & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* The next timer shortens the wait. */
static void limit_wait(uint32_t *wait)
{
	int64_t now = clock_ns(NULL) / 1000000;

	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		int64_t left = timers[i].expires - now;

		if (timers[i].used && timers[i].armed && left < (int64_t)*wait)
			*wait = left > 0 ? (uint32_t)left : 0;
	}
}

static void run_timers(void)
{
	int64_t now = clock_ns(NULL) / 1000000;

	for (unsigned i = 0; i < TIMERS_MAX; i++)
		if (timers[i].used && timers[i].armed && timers[i].expires <= now) {
			timers[i].armed = false;
			slirp_handle_timer(slirp, timers[i].id, timers[i].opaque);
		}
}

/* False: bhyve is gone. */
static bool take_frames(void)
{
	static uint8_t frame[FRAME_MAX];
	ssize_t length;

	while ((length = recv(GUEST, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
		slirp_input(slirp, frame, (int)length);
	return length < 0 && (errno == EAGAIN || errno == EINTR);
}

static void serve(void)
{
	bool alive = true;

	while (alive) {
		uint32_t wait = 60000;
		int ready;

		polls[0] = (struct pollfd){ .fd = GUEST, .events = POLLIN };
		poll_count = 1;
		slirp_pollfds_fill(slirp, &wait, add_poll, NULL);
		limit_wait(&wait);
		ready = poll(polls, poll_count, (int)wait);
		if (ready < 0 && errno != EINTR)
			fatal("poll: %s", strerror(errno));
		slirp_pollfds_poll(slirp, ready < 0, get_events, NULL);
		run_timers();
		if (ready > 0 && polls[0].revents)
			alive = take_frames();
	}
}

/* --- the network ---------------------------------------------------------- */

static struct in_addr address(const char *text)
{
	struct in_addr result = { 0 };

	(void)inet_pton(AF_INET, text, &result);
	return result;
}

/* The addresses that slirp has had for decades; the guest gets 10.0.2.15. */
static void start_network(void)
{
	SlirpConfig config = {
		.version = 4,
		.in_enabled = true,
		.vnetwork = address("10.0.2.0"),
		.vnetmask = address("255.255.255.0"),
		.vhost = address("10.0.2.2"),
		.vdhcp_start = address("10.0.2.15"),
		.vnameserver = address("10.0.2.3"),
		.in6_enabled = true,
		.vprefix_len = 64,
		.vhostname = "guest",
	};

	(void)inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	(void)inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	(void)inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	slirp = slirp_new(&config, &callbacks, NULL);
	if (!slirp)
		fatal("libslirp cannot start");
}

static void add_forward(const char *rule)
{
	struct forward forward;

	if (!forward_parse(rule, &forward))
		fatal("hostfwd=%s: not [tcp|udp]:[HOST]:PORT-[GUEST]:PORT", rule);
	if (slirp_add_hostfwd(slirp, forward.udp, forward.host, (int)forward.host_port,
			      forward.guest, (int)forward.guest_port))
		fatal("hostfwd=%s: %s", rule, strerror(errno));
}

int main(int argc, char **argv)
{
	static const char ready = 1;

	answer_version(argc, argv);
	if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
		fputs(usage_text, stdout);
		return EXIT_SUCCESS;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	start_network();
	for (int i = 1; i < argc; i++)
		add_forward(argv[i]);
	if (send(GUEST, &ready, sizeof(ready), MSG_NOSIGNAL) < 0)
		fatal("standard input is no socket of bhyve's (\"bhyve-slirp -h\")");
	serve();
	slirp_cleanup(slirp);
	return EXIT_SUCCESS;
}
