/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a network device of a guest is connected to: a tap interface of the host, or a
 * socket on which each message is a frame (bhyve-slirp at its other end).
 */
#ifndef BHYVE_NET_H
#define BHYVE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NET_MAC_LENGTH 6
#define NET_FRAME_MAX  (65536u + 64u) /* of one that is still to be cut into segments */

struct net;

/* What the other end does of the work on frames, as virtio's offload features say it. */
struct net_offload {
	bool checksum; /* frames to us may lack their checksum */
	bool tso4;     /* and be longer than the MTU */
	bool tso6;
};

/*
 * Open what an option names: tapNAME, slirp[,hostfwd=...], or fd=N, a tap or a socket that
 * whoever started us has opened; with ,mac=AA:BB:CC:DD:EE:FF and
 * ,mtu=N of the device. NULL after a line that says why and begins with 'who'.
 */
struct net *net_open(const char *who, const char *options);

/* Is 'mac' given by the option? Else it is as it was. */
bool net_mac(const struct net *net, uint8_t mac[NET_MAC_LENGTH]);
unsigned net_mtu(const struct net *net); /* 0: the usual one */
/* Does each frame begin with virtio's header, so that offloads are possible? */
bool net_has_header(const struct net *net);
/* The header's length from now on, and what we accept. Only with net_has_header(). */
void net_set_offload(struct net *net, size_t header, const struct net_offload *offload);

/*
 * One frame: bytes, or a negative errno: -EAGAIN: not now; -EPIPE: the other end is gone.
 * Received: longer frames than the buffers hold are cut.
 */
ssize_t net_send(struct net *net, const struct iovec *iov, unsigned count);
ssize_t net_receive(struct net *net, const struct iovec *iov, unsigned count);
int net_fd(const struct net *net); /* to wait for frames, or for room, with poll(2) */

#endif
