// SPDX-License-Identifier: BSD-2-Clause
/* The machine's UUID; uuid.h. */
#include "uuid.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)tolower((unsigned char)digit);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool uuid_parse(const char *text, uint8_t uuid[UUID_LENGTH])
{
	for (int i = 0; i < UUID_LENGTH; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

/* FNV-1a, 64 bits, from a given start. */
static uint64_t hash_text(uint64_t value, const char *text)
{
	for (; *text; text++)
		value = (value ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return value;
}

void uuid_generate(const char *name, uint8_t uuid[UUID_LENGTH])
{
	char host[256] = "";
	uint64_t halves[2];

	gethostname(host, sizeof(host) - 1);
	halves[0] = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), host), name);
	halves[1] = hash_text(hash_text(halves[0], name), host);
	memcpy(uuid, halves, UUID_LENGTH);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80); /* version 8: by our own rule (RFC 9562) */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}
