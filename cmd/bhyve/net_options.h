/* SPDX-License-Identifier: BSD-2-Clause */
/* What a network device's option says, before anything is opened. For net.c. */
#ifndef BHYVE_NET_OPTIONS_H
#define BHYVE_NET_OPTIONS_H

#include "net.h"

#define NET_FORWARDS_MAX 16

enum net_kind { NET_TAP, NET_SLIRP, NET_DESCRIPTOR };

struct net_options {
	enum net_kind kind;
	char *text;	  /* the words below point into it; to be freed */
	const char *name; /* of the tap */
	int descriptor;	  /* inherited from whoever started us */
	bool has_mac;
	uint8_t mac[NET_MAC_LENGTH];
	unsigned mtu;
	const char *forward[NET_FORWARDS_MAX]; /* of slirp, as bhyve-slirp takes them */
	unsigned forwards;
};

/* Read them: NULL, or a sentence about what is wrong. */
const char *net_options_parse(struct net_options *options, const char *text);

#endif
