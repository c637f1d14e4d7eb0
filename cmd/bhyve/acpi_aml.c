// SPDX-License-Identifier: BSD-2-Clause
/* Encoding AML; acpi_aml.h. */
#include "acpi_aml.h"

#include <string.h>

/* Opcodes. */
#define SCOPE	  0x10
#define NAME	  0x08
#define STRING	  0x0d
#define DWORD	  0x0c
#define EXTENDED  0x5b
#define DEVICE	  0x82
#define ROOT_CHAR 0x5c

/* A package's length counts its own bytes (20.2.4): in one byte up to this, else in four. */
#define SHORT_PACKAGE 0x3f
#define LENGTH_BYTES  4

static uint32_t put(uint8_t *aml, uint32_t at, const void *bytes, uint32_t length)
{
	memcpy(aml + at, bytes, length);
	return at + length;
}

static uint32_t put_dword(uint8_t *aml, uint32_t at, uint32_t value)
{
	return put(aml, at, &value, sizeof(value));
}

/* Four bits, and three bytes of eight. */
static uint32_t put_long_length(uint8_t *aml, uint32_t at, uint32_t length)
{
	length += LENGTH_BYTES;
	aml[at] = (uint8_t)((LENGTH_BYTES - 1) << 6 | (length & 0xf));
	aml[at + 1] = (uint8_t)(length >> 4);
	aml[at + 2] = (uint8_t)(length >> 12);
	aml[at + 3] = (uint8_t)(length >> 20);
	return at + LENGTH_BYTES;
}

uint32_t aml_system_bus(uint8_t *aml, uint32_t length)
{
	static const uint8_t name[] = { ROOT_CHAR, '_', 'S', 'B', '_' };
	uint32_t at = 0;

	aml[at++] = SCOPE;
	at = put_long_length(aml, at, (uint32_t)sizeof(name) + length);
	return put(aml, at, name, sizeof(name));
}

/* "C" and three digits. */
static uint32_t put_processor_name(uint8_t *aml, uint32_t at, uint32_t uid)
{
	static const char digits[] = "0123456789ABCDEF";

	aml[at++] = 'C';
	for (int shift = 8; shift >= 0; shift -= 4)
		aml[at++] = (uint8_t)digits[uid >> shift & 0xf];
	return at;
}

uint32_t aml_processor(uint8_t *aml, uint32_t uid)
{
	static const char hid[] = "ACPI0007";
	uint32_t at = 0;

	aml[at++] = EXTENDED;
	aml[at++] = DEVICE;
	aml[at++] = AML_PROCESSOR - 2;
	at = put_processor_name(aml, at, uid);
	aml[at++] = NAME;
	at = put(aml, at, "_HID", 4);
	aml[at++] = STRING;
	at = put(aml, at, hid, sizeof(hid));
	aml[at++] = NAME;
	at = put(aml, at, "_UID", 4);
	aml[at++] = DWORD;
	return put_dword(aml, at, uid);
}

_Static_assert(AML_PROCESSOR - 2 <= SHORT_PACKAGE, "a processor's length");
