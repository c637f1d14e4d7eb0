// SPDX-License-Identifier: BSD-2-Clause
/* A network device's option; net_options.h. */
#include "net_options.h"
#include "common/number.h"

#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MTU_MIN 68u
#define MTU_MAX 65535u

/* Six pairs of hexadecimal digits. Bit 0 of the first byte is for groups, which no device is. */
static const char *parse_mac(struct net_options *options, const char *text)
{
	unsigned byte[NET_MAC_LENGTH];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
		   &byte[4], &byte[5], &end) != NET_MAC_LENGTH ||
	    text[end] != '\0' || text[strspn(text, "0123456789abcdefABCDEF:")] != '\0')
		return "mac= wants six bytes such as 58:9c:fc:00:00:01";
	if (byte[0] & 1)
		return "mac= is an address of a group";
	for (unsigned i = 0; i < NET_MAC_LENGTH; i++)
		options->mac[i] = (uint8_t)byte[i];
	options->has_mac = true;
	return NULL;
}

static const char *parse_mtu(struct net_options *options, const char *text)
{
	if (number_parse_unsigned(text, MTU_MAX, &options->mtu) || options->mtu < MTU_MIN)
		return "mtu= wants 68 to 65535";
	return NULL;
}

static const char *parse_forward(struct net_options *options, const char *text)
{
	if (options->kind != NET_SLIRP)
		return "hostfwd= is for slirp";
	if (options->forwards == NET_FORWARDS_MAX)
		return "hostfwd= has been given 16 times already";
	options->forward[options->forwards++] = text;
	return NULL;
}

static const char *parse_word(struct net_options *options, const char *word)
{
	if (strncmp(word, "mac=", 4) == 0)
		return parse_mac(options, word + 4);
	if (strncmp(word, "mtu=", 4) == 0)
		return parse_mtu(options, word + 4);
	if (strncmp(word, "hostfwd=", 8) == 0)
		return parse_forward(options, word + 8);
	return "of a network device there are: mac=, mtu=, hostfwd=";
}

/* 0 to 2 are bhyve's own. */
static const char *parse_descriptor(struct net_options *options, const char *text)
{
	unsigned value;

	options->kind = NET_DESCRIPTOR;
	if (number_parse_unsigned(text, INT_MAX, &value) || value < 3)
		return "fd= wants the number of an open file, 3 or more";
	options->descriptor = (int)value;
	return NULL;
}

static const char *parse_kind(struct net_options *options, const char *word)
{
	if (strcmp(word, "slirp") == 0) {
		options->kind = NET_SLIRP;
		return NULL;
	}
	if (strncmp(word, "fd=", 3) == 0)
		return parse_descriptor(options, word + 3);
	options->kind = NET_TAP;
	options->name = word;
	if (strncmp(word, "vmnet", 5) == 0 || strncmp(word, "netgraph", 8) == 0)
		return "Linux has no such interface; use a tap";
	if (strncmp(word, "tap", 3) != 0 || strlen(word) >= IFNAMSIZ)
		return "a network device wants tapNAME, slirp or fd=N";
	return NULL;
}

const char *net_options_parse(struct net_options *options, const char *text)
{
	char *rest;
	const char *why;
	char *word;

	*options = (struct net_options){ .text = text ? strdup(text) : NULL };
	rest = options->text;
	word = strsep(&rest, ",");
	if (!word || !*word)
		return "a network device wants tapNAME, slirp or fd=N";
	why = parse_kind(options, word);
	while (!why && (word = strsep(&rest, ",")))
		why = parse_word(options, word);
	return why;
}
