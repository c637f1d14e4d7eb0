// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio network device (Virtio 1.2, 5.1). Frames go out in the thread of the vCPU that
 * notified; those that come in are received by a thread of the device's own, which also
 * waits for room where the network has none.
 */
#include "diag.h"
#include "net.h"
#include "virtio.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)

#define QUEUE_RECEIVE  0
#define QUEUE_TRANSMIT 1
#define QUEUES	       2

/* Both headers' beginnings are the same; the older one lacks the number of buffers. */
#define HEADER_MAX   sizeof(struct virtio_net_hdr_v1)
#define HEADER_SHORT sizeof(struct virtio_net_hdr)

struct net_config {
	uint8_t mac[NET_MAC_LENGTH];
	uint16_t status;
	uint16_t queue_pairs;
	uint16_t mtu;
} __attribute__((packed));

struct netdev {
	struct virtio virtio; /* first */
	struct net *net;      /* constant, like the next */
	int wake;	      /* eventfd: the thread has something new to look at */

	struct net_config config; /* virtio->lock */
	size_t header;		  /* set while no queue is ready */

	bool receive_ready; /* atomic: the guest may have given buffers */
	bool send_blocked;  /* atomic: frames wait for room in the network */
	bool gone;	    /* atomic: the network's other end is */

	/* The thread's own: a frame and its header. */
	uint8_t frame[HEADER_MAX + NET_FRAME_MAX];
	size_t frame_length; /* 0: none is waiting for buffers */
};

static void netdev_wake(struct netdev *netdev)
{
	uint64_t one = 1;
	ssize_t written = write(netdev->wake, &one, sizeof(one));

	(void)written; /* cannot fail: the counter is far from its limit */
}

/* The cable is pulled out. The guest sees that, and goes on. */
static void netdev_gone(struct netdev *netdev)
{
	if (__atomic_exchange_n(&netdev->gone, true, __ATOMIC_SEQ_CST))
		return;
	complain("-s %u:%u: the network is gone", netdev->virtio.function->slot,
		 netdev->virtio.function->number);
	netdev_wake(netdev);
}

/* --- to the network ------------------------------------------------------- */

/* True: the frame is done with, sent or lost. */
static bool send_frame(struct netdev *netdev, const struct virtqueue_chain *chain)
{
	struct iovec part[VIRTQUEUE_SEGMENTS];
	size_t skip = net_has_header(netdev->net) ? 0 : netdev->header;
	unsigned parts;
	ssize_t sent;

	if (chain->readable_bytes <= netdev->header ||
	    chain->readable_bytes > sizeof(netdev->frame))
		return true;
	parts = virtqueue_slice(chain->iov, chain->readable, skip, chain->readable_bytes - skip,
				part);
	sent = net_send(netdev->net, part, parts);
	if (sent == -EPIPE)
		netdev_gone(netdev);
	return sent != -EAGAIN;
}

/* False: none is left, or the network has no room, or the queue is broken. */
static bool transmit_one(struct netdev *netdev)
{
	struct virtqueue *queue = &netdev->virtio.queue[QUEUE_TRANSMIT].queue;
	struct virtqueue_chain chain;
	int taken = virtqueue_take(queue, &chain);

	if (taken < 0)
		virtio_broken(&netdev->virtio, QUEUE_TRANSMIT);
	if (taken <= 0)
		return false;
	if (!__atomic_load_n(&netdev->gone, __ATOMIC_RELAXED) && !send_frame(netdev, &chain)) {
		virtqueue_untake(queue);
		__atomic_store_n(&netdev->send_blocked, true, __ATOMIC_SEQ_CST);
		netdev_wake(netdev);
		return false;
	}
	virtqueue_give(queue, chain.head, 0);
	return true;
}

/* With the queue's lock. */
static void transmit(struct netdev *netdev)
{
	struct virtqueue *queue = &netdev->virtio.queue[QUEUE_TRANSMIT].queue;

	do {
		virtqueue_disable_notify(queue);
		while (transmit_one(netdev))
			;
	} while (queue->ready && !__atomic_load_n(&netdev->send_blocked, __ATOMIC_SEQ_CST) &&
		 virtqueue_enable_notify(queue));
	if (queue->ready)
		virtio_queue_interrupt(&netdev->virtio, QUEUE_TRANSMIT);
}

/* The thread: there may be room again. */
static void transmit_again(struct netdev *netdev)
{
	struct virtio_queue *queue = &netdev->virtio.queue[QUEUE_TRANSMIT];

	pthread_mutex_lock(&queue->lock);
	__atomic_store_n(&netdev->send_blocked, false, __ATOMIC_SEQ_CST);
	if (queue->queue.ready)
		transmit(netdev);
	pthread_mutex_unlock(&queue->lock);
}

/* --- from the network ----------------------------------------------------- */

/* The frame's next piece into the next buffers: bytes, 0 where there are none, or -EINVAL. */
static ssize_t put_piece(struct netdev *netdev, size_t offset, struct virtqueue_chain *chain)
{
	struct virtqueue *queue = &netdev->virtio.queue[QUEUE_RECEIVE].queue;
	int taken = virtqueue_take(queue, chain);
	size_t bytes;

	if (taken <= 0)
		return taken;
	bytes = virtqueue_copy_to(chain->iov + chain->readable, chain->writable, 0,
				  netdev->frame + offset, netdev->frame_length - offset);
	virtqueue_put(queue, chain->head, (uint32_t)bytes);
	return bytes ? (ssize_t)bytes : -EINVAL;
}

/* The header tells how many buffers a frame has taken: it is in the first of them. */
static void put_count(struct netdev *netdev, const struct virtqueue_chain *first, unsigned count)
{
	uint16_t buffers = (uint16_t)count;

	if (netdev->header == HEADER_MAX)
		virtqueue_copy_to(first->iov + first->readable, first->writable,
				  offsetof(struct virtio_net_hdr_v1, num_buffers), &buffers,
				  sizeof(buffers));
}

/*
 * 1: the guest has the frame; 0: it has no room for it now, and nothing has changed; -EINVAL.
 * -EAGAIN: it has given more room since.
 */
static int deliver(struct netdev *netdev)
{
	struct virtqueue *queue = &netdev->virtio.queue[QUEUE_RECEIVE].queue;
	bool mergeable = virtio_has(&netdev->virtio, FEATURE(MRG_RXBUF));
	struct virtqueue_chain first, next;
	struct virtqueue before = *queue;
	unsigned count = 0;
	size_t done = 0;

	while (done < netdev->frame_length && (count == 0 || mergeable)) {
		ssize_t bytes = put_piece(netdev, done, count ? &next : &first);

		if (bytes <= 0) {
			bool more = bytes == 0 && virtqueue_enable_notify(queue);

			queue->next_available = before.next_available;
			queue->next_used = before.next_used;
			return more ? -EAGAIN : (int)bytes;
		}
		done += (size_t)bytes;
		count++;
	}
	put_count(netdev, &first, count);
	virtqueue_publish(queue);
	return 1;
}

/* Without virtio's header on the wire: one that asks for nothing. */
static void frame_received(struct netdev *netdev, ssize_t bytes)
{
	size_t header = net_has_header(netdev->net) ? 0 : netdev->header;

	memset(netdev->frame, 0, header);
	netdev->frame_length = (size_t)bytes + header;
}

static bool receive_frame(struct netdev *netdev)
{
	size_t header = net_has_header(netdev->net) ? 0 : netdev->header;
	struct iovec iov = { netdev->frame + header, sizeof(netdev->frame) - header };
	ssize_t bytes = net_receive(netdev->net, &iov, 1);

	if (bytes == -EPIPE)
		netdev_gone(netdev);
	if (bytes <= 0)
		return false;
	frame_received(netdev, bytes);
	return true;
}

/* With the queue's lock, ready: all frames that are there and have room. */
static void receive_all(struct netdev *netdev)
{
	int delivered = 1;

	while ((delivered > 0 || delivered == -EAGAIN) &&
	       (netdev->frame_length || receive_frame(netdev))) {
		delivered = deliver(netdev);
		if (delivered > 0)
			netdev->frame_length = 0;
	}
	if (delivered == -EINVAL) {
		netdev->frame_length = 0;
		virtio_broken(&netdev->virtio, QUEUE_RECEIVE);
		return;
	}
	if (delivered == 0)
		__atomic_store_n(&netdev->receive_ready, false, __ATOMIC_SEQ_CST);
	virtio_queue_interrupt(&netdev->virtio, QUEUE_RECEIVE);
}

static void receive(struct netdev *netdev)
{
	struct virtio_queue *queue = &netdev->virtio.queue[QUEUE_RECEIVE];

	pthread_mutex_lock(&queue->lock);
	if (queue->queue.ready)
		receive_all(netdev);
	else
		__atomic_store_n(&netdev->receive_ready, false, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&queue->lock);
}

/* --- the thread ----------------------------------------------------------- */

static void link_down(struct netdev *netdev)
{
	pthread_mutex_lock(&netdev->virtio.lock);
	netdev->config.status &= (uint16_t)~VIRTIO_NET_S_LINK_UP;
	pthread_mutex_unlock(&netdev->virtio.lock);
	virtio_config_changed(&netdev->virtio);
}

/* What is to be waited for now: frames if the guest has room, room if it has frames. */
static short wanted_events(const struct netdev *netdev)
{
	short events = 0;

	if (__atomic_load_n(&netdev->receive_ready, __ATOMIC_SEQ_CST))
		events |= POLLIN;
	if (__atomic_load_n(&netdev->send_blocked, __ATOMIC_SEQ_CST))
		events |= POLLOUT;
	return events;
}

/* A frame that waited for buffers may have some now. */
static bool frame_may_go(const struct netdev *netdev)
{
	return netdev->frame_length && __atomic_load_n(&netdev->receive_ready, __ATOMIC_SEQ_CST);
}

static void *netdev_thread(void *arg)
{
	struct netdev *netdev = arg;
	uint64_t count;

	while (!__atomic_load_n(&netdev->gone, __ATOMIC_SEQ_CST)) {
		struct pollfd wait[2] = {
			{ .fd = netdev->wake, .events = POLLIN },
			{ .fd = net_fd(netdev->net), .events = wanted_events(netdev) },
		};

		if (poll(wait, 2, -1) < 0)
			continue;
		if ((wait[0].revents & POLLIN) && read(netdev->wake, &count, sizeof(count)) < 0)
			continue;
		if (wait[1].revents & POLLOUT)
			transmit_again(netdev);
		if ((wait[1].revents & (POLLIN | POLLHUP | POLLERR)) || frame_may_go(netdev))
			receive(netdev);
		if ((wait[1].revents & (POLLHUP | POLLERR)) && !(wait[1].revents & POLLIN))
			netdev_gone(netdev);
	}
	transmit_again(netdev);
	link_down(netdev);
	return NULL;
}

/* --- the device ----------------------------------------------------------- */

static void netdev_notify(struct virtio *virtio, unsigned queue)
{
	struct netdev *netdev = (struct netdev *)virtio;

	if (queue == QUEUE_TRANSMIT) {
		if (!__atomic_load_n(&netdev->send_blocked, __ATOMIC_SEQ_CST))
			transmit(netdev);
		return;
	}
	virtqueue_disable_notify(&virtio->queue[queue].queue);
	__atomic_store_n(&netdev->receive_ready, true, __ATOMIC_SEQ_CST);
	netdev_wake(netdev);
}

static void netdev_features_set(struct virtio *virtio)
{
	struct netdev *netdev = (struct netdev *)virtio;
	struct net_offload offload = {
		.checksum = virtio_has(virtio, FEATURE(GUEST_CSUM)),
		.tso4 = virtio_has(virtio, FEATURE(GUEST_TSO4)),
		.tso6 = virtio_has(virtio, FEATURE(GUEST_TSO6)),
	};

	netdev->header = virtio_has(virtio, VIRTIO_FEATURE_VERSION_1 | FEATURE(MRG_RXBUF)) ?
				 HEADER_MAX :
				 HEADER_SHORT;
	if (net_has_header(netdev->net))
		net_set_offload(netdev->net, netdev->header, &offload);
}

static const struct virtio_type netdev_type = {
	.id = 1,
	.transitional = 0x1000,
	.class = 0x02, /* network controller: Ethernet */
	.subclass = 0x00,
	.features_set = netdev_features_set,
	.notify = netdev_notify,
};

static uint64_t netdev_features(const struct net *net)
{
	uint64_t features = FEATURE(MAC) | FEATURE(MRG_RXBUF) | FEATURE(STATUS);

	if (net_mtu(net))
		features |= FEATURE(MTU);
	if (net_has_header(net))
		features |= FEATURE(CSUM) | FEATURE(GUEST_CSUM) | FEATURE(GUEST_TSO4) |
			    FEATURE(GUEST_TSO6) | FEATURE(HOST_TSO4) | FEATURE(HOST_TSO6);
	return features;
}

/* The same for the same slot at each start; 58:9c:fc is bhyve's. */
static void default_mac(const struct pci_function *function, uint8_t mac[NET_MAC_LENGTH])
{
	static const uint8_t vendor[] = { 0x58, 0x9c, 0xfc };

	memcpy(mac, vendor, sizeof(vendor));
	mac[3] = 0;
	mac[4] = (uint8_t)function->slot;
	mac[5] = (uint8_t)function->number;
}

static int netdev_init(struct pci_function *function, const char *options)
{
	struct netdev *netdev = calloc(1, sizeof(*netdev));
	char who[32];

	if (!netdev)
		return -ENOMEM;
	snprintf(who, sizeof(who), "-s %u:%u", function->slot, function->number);
	netdev->net = net_open(who, options);
	if (!netdev->net)
		exit(STATUS_ERROR);
	netdev->wake = eventfd(0, EFD_CLOEXEC);
	if (netdev->wake < 0)
		fatal("%s: %s", who, strerror(errno));
	default_mac(function, netdev->config.mac);
	(void)net_mac(netdev->net, netdev->config.mac);
	netdev->config.status = VIRTIO_NET_S_LINK_UP;
	netdev->config.mtu = (uint16_t)net_mtu(netdev->net);
	netdev->header = HEADER_SHORT;
	virtio_init(&netdev->virtio, &netdev_type, function, netdev_features(netdev->net), QUEUES,
		    &netdev->config, sizeof(netdev->config));
	return 0;
}

static void netdev_start(struct pci_function *function, struct vmctx *ctx)
{
	pthread_t thread;
	int error;

	virtio_start(function, ctx);
	error = pthread_create(&thread, NULL, netdev_thread, function->state);
	if (error)
		fatal("-s %u:%u: no thread for it: %s", function->slot, function->number,
		      strerror(error));
	pthread_detach(thread);
}

const struct pci_driver pci_virtio_net = {
	.name = "virtio-net",
	.has_settings = true,
	.summary = "a network card: tapNAME, fd=N or slirp[,hostfwd=RULE]...; [,mac=][,mtu=]",
	.init = netdev_init,
	.start = netdev_start,
	.config_read = virtio_pci_config_read,
	.config_write = virtio_pci_config_write,
	.bar_read = virtio_bar_read,
	.bar_write = virtio_bar_write,
};
