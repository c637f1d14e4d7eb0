/* SPDX-License-Identifier: BSD-2-Clause */
/* A rule that lets the host's side reach a port of the guest. */
#ifndef BHYVE_SLIRP_FORWARD_H
#define BHYVE_SLIRP_FORWARD_H

#include <netinet/in.h>
#include <stdbool.h>

struct forward {
	bool udp;
	struct in_addr host; /* where to listen; any by default */
	unsigned host_port;
	struct in_addr guest; /* 0.0.0.0: the one that DHCP gives */
	unsigned guest_port;
};

/* Read "[tcp|udp]:[HOST]:PORT-[GUEST]:PORT". False if it is something else. */
bool forward_parse(const char *text, struct forward *forward);

#endif
