// SPDX-License-Identifier: BSD-2-Clause
/* Rules as bhyve's and QEMU's "hostfwd" have them; forward.h. */
#include "forward.h"
#include "common/number.h"

#include <arpa/inet.h>
#include <string.h>

/* "[ADDRESS]:PORT" up to 'end'; without an address it stays as it is. */
static bool parse_endpoint(const char *text, const char *end, struct in_addr *address,
			   unsigned *port)
{
	const char *colon = memchr(text, ':', (size_t)(end - text));
	char buffer[INET_ADDRSTRLEN];

	if (!colon || (size_t)(colon - text) >= sizeof(buffer))
		return false;
	memcpy(buffer, text, (size_t)(colon - text));
	buffer[colon - text] = '\0';
	if (buffer[0] && inet_pton(AF_INET, buffer, address) != 1)
		return false;
	colon++;
	return number_read(&colon, 65535, port) && colon == end && *port > 0;
}

bool forward_parse(const char *text, struct forward *forward)
{
	const char *dash = strchr(text, '-');

	*forward = (struct forward){ .udp = strncmp(text, "udp:", 4) == 0 };
	if (!dash || (!forward->udp && strncmp(text, "tcp:", 4) != 0 && text[0] != ':'))
		return false;
	text = strchr(text, ':') + 1;
	if (text > dash)
		return false;
	return parse_endpoint(text, dash, &forward->host, &forward->host_port) &&
	       parse_endpoint(dash + 1, dash + strlen(dash), &forward->guest, &forward->guest_port);
}
