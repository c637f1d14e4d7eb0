// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory and ports of an emulated instruction whose guest uses breakpoints. The #DB is a
 * trap: it comes when the instruction, or an iteration of it, is done (SDM vol. 3, 17.2.4);
 * one that faults has hit nothing.
 */
#include "x86/cpu/breakpoints.h"
#include "x86/emulate/emulate_state.h"

static void watch_memory(struct emulator *emulator, uint64_t linear, unsigned int size, bool write)
{
	struct emulation *emulation = emulation_of(emulator);

	emulation->leave |= (uint8_t)breakpoints_on_memory(emulation->vcpu, linear, size, write);
}

int watched_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		 enum emulate_access access)
{
	watch_memory(emulator, linear, size, false);
	return emulation_read(emulator, linear, data, size, access);
}

int watched_write(struct emulator *emulator, uint64_t linear, const void *data, unsigned int size)
{
	watch_memory(emulator, linear, size, true);
	return emulation_write(emulator, linear, data, size);
}

int watched_exchange(struct emulator *emulator, uint64_t linear, const void *old, const void *new,
		     unsigned int size)
{
	watch_memory(emulator, linear, size, true);
	return emulation_exchange(emulator, linear, old, new, size);
}

int watched_port(struct emulator *emulator, uint16_t port, bool write, uint32_t *value,
		 unsigned int size)
{
	struct emulation *emulation = emulation_of(emulator);

	emulation->leave |= (uint8_t)breakpoints_on_port(emulation->vcpu, port, size);
	return emulation_port(emulator, port, write, value, size);
}
