// SPDX-License-Identifier: BSD-2-Clause
/*
 * bhyveload's image parsers: whatever the kernel file holds, nothing is read
 * outside it, and nothing is written outside the guest's RAM or where something
 * else has been put. Of the input the first byte chooses an initrd or modules,
 * the rest is the kernel.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define MEMORY (4 * MIB)

static uint8_t *memory;
static struct guest guest;

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Only what has been taken may be touched, and never the hole. */
static void *map(void *context, uint64_t gpa, size_t length)
{
	(void)context;
	if (length > MEMORY || gpa > MEMORY - length)
		return NULL;
	for (unsigned int i = 1; i < guest.range_count; i++)
		if (gpa >= guest.ranges[i].start && gpa + length <= guest.ranges[i].end)
			return memory + gpa;
	require(length == 0);
	return memory + gpa;
}

static void check_ranges(void)
{
	for (unsigned int i = 0; i < guest.range_count; i++) {
		require(guest.ranges[i].start < guest.ranges[i].end);
		require(guest.ranges[i].end <= MEMORY);
		for (unsigned int j = 0; j < i; j++)
			require(guest.ranges[i].end <= guest.ranges[j].start ||
				guest.ranges[j].end <= guest.ranges[i].start);
	}
}

static void check_state(const struct boot_state *state)
{
	require(state->register_count <= MOST_BOOT_REGISTERS);
	require(state->segment_count == MOST_BOOT_SEGMENTS);
	require(state_get(state, VM_REG_GUEST_RIP) <= UINT32_MAX + 0x200ull);
	require(state_get(state, VM_REG_GUEST_RFLAGS) == 2);
}

static void add_modules(struct load_request *request, uint8_t choice)
{
	static const uint8_t contents[5000];

	request->has_initrd = choice & 1;
	request->module_count = (choice & 1) + (choice >> 1 & 3);
	for (unsigned int i = 0; i < request->module_count; i++) {
		image_from_bytes(&request->modules[i].image, "module", contents, 1 + i * 1234u);
		request->modules[i].args = i ? "module arguments" : "";
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct load_request request;
	const struct memory_ops ops = { .map = map };
	const struct kernel_format *format;
	struct boot_state state;
	struct failure failure;

	if (!memory)
		memory = malloc(MEMORY);
	if (!memory || size < 2)
		return 0;
	memset(&request, 0, sizeof(request));
	request.command_line = "command line";
	image_from_bytes(&request.kernel, "kernel", data + 1, size - 1);
	add_modules(&request, data[0]);

	require(image_looks_like(&request.kernel) != NULL);
	format = load_find_format(&request.kernel, &failure);
	if (!format)
		return 0;
	require(guest_init(&guest, &ops, MEMORY, 0) == 0);
	if (format->load(&request, &guest, &state) == 0)
		check_state(&state);
	else
		require(guest.failure.text[0] != '\0');
	check_ranges();
	return 0;
}
