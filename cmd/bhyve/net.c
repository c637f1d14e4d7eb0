// SPDX-License-Identifier: BSD-2-Clause
/* Taps and sockets as networks; net.h. */
#include "net.h"
#include "diag.h"
#include "net_options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TUN_DEVICE    "/dev/net/tun"
#define SLIRP_PROGRAM "bhyve-slirp"
#define SOCKET_BUFFER (1 << 20)

struct net {
	int fd; /* constant, like all here */
	bool header;
	bool has_mac;
	uint8_t mac[NET_MAC_LENGTH];
	unsigned mtu;
};

/* --- taps ----------------------------------------------------------------- */

/* The interface is there already or, for root, comes into being. NULL or what failed. */
static const char *tap_open(struct net *net, const struct net_options *options)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	net->fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (net->fd < 0)
		return TUN_DEVICE;
	strcpy(request.ifr_name, options->name);
	if (ioctl(net->fd, TUNSETIFF, &request))
		return options->name;
	net->header = true;
	return NULL;
}

static void explain_tap(const char *who, const char *what, int error)
{
	if (error == EPERM)
		complain("%s: %s: not yours: \"ip tuntap add mode tap user USER name %s\" makes "
			 "it so",
			 who, what, what);
	else if (error == EBUSY)
		complain("%s: %s: another program has it", who, what);
	else
		complain("%s: %s: %s", who, what, strerror(error));
}

/* --- slirp ---------------------------------------------------------------- */

/* Beside this program, where it is installed. */
static void helper_path(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - sizeof(SLIRP_PROGRAM));
	char *slash;

	path[length > 0 ? length : 0] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, SLIRP_PROGRAM);
}

/* In the child: the socket becomes standard input. It ends with us. */
static void __attribute__((noreturn)) helper_exec(int socket, const struct net_options *options)
{
	char path[PATH_MAX];
	const char *arguments[NET_FORWARDS_MAX + 2] = { SLIRP_PROGRAM };
	sigset_t none;

	for (unsigned i = 0; i < options->forwards; i++)
		arguments[i + 1] = options->forward[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	helper_path(path, sizeof(path));
	if (dup2(socket, STDIN_FILENO) >= 0)
		execv(path, (char **)(uintptr_t)arguments);
	complain("%s: %s", path, strerror(errno));
	_exit(STATUS_ERROR);
}

/* Its first message is one byte: all is well. Otherwise it has said what is not. */
static bool helper_is_ready(int socket)
{
	char byte;

	return recv(socket, &byte, sizeof(byte), 0) == sizeof(byte);
}

static bool slirp_open(struct net *net, const struct net_options *options)
{
	int size = SOCKET_BUFFER;
	int sockets[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return false;
	for (unsigned i = 0; i < 2; i++)
		(void)setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	child = fork();
	if (child == 0)
		helper_exec(sockets[1], options);
	close(sockets[1]);
	net->fd = sockets[0];
	if (child < 0 || !helper_is_ready(sockets[0])) {
		errno = child < 0 ? errno : 0;
		return false;
	}
	return fcntl(net->fd, F_SETFL, O_NONBLOCK) == 0;
}

/* --- descriptors ---------------------------------------------------------- */

/* A tap, or a socket that keeps messages apart. NULL or what is wrong. */
static const char *descriptor_open(struct net *net, const struct net_options *options)
{
	struct ifreq interface;
	socklen_t length = sizeof(int);
	int type = 0;

	if (fcntl(options->descriptor, F_SETFL, O_NONBLOCK) ||
	    fcntl(options->descriptor, F_SETFD, FD_CLOEXEC))
		return strerror(errno);
	net->fd = options->descriptor;
	net->header = ioctl(net->fd, TUNGETIFF, &interface) == 0;
	if (net->header)
		return interface.ifr_flags & IFF_VNET_HDR ? NULL : "a tap without IFF_VNET_HDR";
	if (getsockopt(net->fd, SOL_SOCKET, SO_TYPE, &type, &length) ||
	    (type != SOCK_SEQPACKET && type != SOCK_DGRAM))
		return "neither a tap nor a socket with messages";
	return NULL;
}

/* --- all ------------------------------------------------------------------ */

static bool open_kind(struct net *net, const char *who, const struct net_options *options)
{
	const char *what;

	if (options->kind == NET_DESCRIPTOR) {
		what = descriptor_open(net, options);
		if (what)
			complain("%s: fd=%d: %s", who, options->descriptor, what);
		return !what;
	}
	if (options->kind == NET_SLIRP) {
		if (slirp_open(net, options))
			return true;
		if (errno)
			complain("%s: slirp: %s", who, strerror(errno));
		return false;
	}
	what = tap_open(net, options);
	if (what)
		explain_tap(who, what, errno);
	return !what;
}

struct net *net_open(const char *who, const char *text)
{
	struct net_options options;
	const char *why = net_options_parse(&options, text);
	struct net *net = why ? NULL : calloc(1, sizeof(*net));

	if (!net) {
		complain("%s: %s", who, why ? why : strerror(ENOMEM));
		free(options.text);
		return NULL;
	}
	net->fd = -1;
	net->has_mac = options.has_mac;
	memcpy(net->mac, options.mac, sizeof(net->mac));
	net->mtu = options.mtu;
	if (!open_kind(net, who, &options)) {
		if (net->fd >= 0)
			close(net->fd);
		free(net);
		net = NULL;
	}
	free(options.text);
	return net;
}

bool net_mac(const struct net *net, uint8_t mac[NET_MAC_LENGTH])
{
	if (net->has_mac)
		memcpy(mac, net->mac, NET_MAC_LENGTH);
	return net->has_mac;
}

unsigned net_mtu(const struct net *net)
{
	return net->mtu;
}

bool net_has_header(const struct net *net)
{
	return net->header;
}

int net_fd(const struct net *net)
{
	return net->fd;
}

void net_set_offload(struct net *net, size_t header, const struct net_offload *offload)
{
	unsigned long flags = offload->checksum ? TUN_F_CSUM : 0;
	int length = (int)header;

	if (offload->checksum && offload->tso4)
		flags |= TUN_F_TSO4;
	if (offload->checksum && offload->tso6)
		flags |= TUN_F_TSO6;
	if (ioctl(net->fd, TUNSETVNETHDRSZ, &length) || ioctl(net->fd, TUNSETOFFLOAD, flags))
		complain("a tap: %s", strerror(errno));
}

static ssize_t outcome(ssize_t bytes)
{
	if (bytes >= 0)
		return bytes;
	if (errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)
		return -EAGAIN;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

ssize_t net_send(struct net *net, const struct iovec *iov, unsigned count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count };

	if (net->header)
		return outcome(writev(net->fd, iov, (int)count));
	return outcome(sendmsg(net->fd, &message, MSG_NOSIGNAL));
}

/* A socket's end is a message without a byte, which no frame is. */
ssize_t net_receive(struct net *net, const struct iovec *iov, unsigned count)
{
	ssize_t bytes = outcome(readv(net->fd, iov, (int)count));

	return bytes == 0 ? -EPIPE : bytes;
}
