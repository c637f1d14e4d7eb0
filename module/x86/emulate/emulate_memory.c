// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory and ports of an emulated instruction. A linear address is translated by
 * the guest's tables; behind it are RAM, a device in the kernel, or the program.
 * Both pages of an access that crosses into another are translated before either
 * is touched.
 */
#include "dev/device.h"
#include "x86/emulate/emulate_state.h"
#include "x86/emulate/pieces.h"

static int wait_for(struct emulation *emulation, enum emulation_wait wait)
{
	emulation->wait = wait;
	return -EAGAIN;
}

static int wait_for_memory(struct emulation *emulation, uint64_t gpa)
{
	emulation->vcpu->fault_gpa = gpa;
	return wait_for(emulation, WAIT_MEMORY);
}

/* --- devices ----------------------------------------------------------------------- */

static bool same_access(const struct vcpu_access *a, const struct vcpu_access *b)
{
	return a->address == b->address && a->size == b->size && a->port == b->port &&
	       a->write == b->write;
}

/* If the access was made before, its outcome; what was logged of another instruction goes. */
static bool take_from_log(struct emulation *emulation, struct vcpu_access *access)
{
	const struct vcpu_access *logged = &emulation->log[emulation->log_next];

	if (likely(emulation->log_next == emulation->log_count))
		return false;
	if (!same_access(logged, access)) {
		emulation->log_count = emulation->log_next;
		return false;
	}
	if (!access->write)
		access->data = logged->data;
	emulation->log_next++;
	return true;
}

static void add_to_log(struct emulation *emulation, const struct vcpu_access *access)
{
	emulation->log[emulation->log_count++] = *access;
	emulation->log_next = emulation->log_count;
}

/* One access to a device of the kernel's: 0, DEVICE_EXIT, -ENOENT. */
static int kernel_device(struct vcpu *vcpu, struct vcpu_access *access)
{
	int64_t result;

	if (!access->port)
		return device_mmio(vcpu, access->address, access->write, access->size,
				   &access->data);
	result = device_port(vcpu, (uint16_t)access->address, access->write, access->size,
			     (uint32_t)access->data);
	if (result < 0)
		return (int)result;
	if (!access->write)
		access->data = (uint64_t)result;
	return 0;
}

/* One access of 1, 2, 4 or 8 bytes to some device. */
static int access_device(struct emulation *emulation, struct vcpu_access *access)
{
	int result;

	if (unlikely(take_from_log(emulation, access)))
		return 0;
	if (unlikely(emulation->log_count == EMULATION_LOG))
		return -EOPNOTSUPP;
	result = kernel_device(emulation->vcpu, access);
	if (result == -ENOENT) {
		emulation->access = *access;
		return wait_for(emulation, WAIT_USERSPACE);
	}
	if (result == DEVICE_EXIT)
		emulation->leave |= LEAVE_USERSPACE;
	add_to_log(emulation, access);
	return 0;
}

int emulation_port(struct emulator *emulator, uint16_t port, bool write, uint32_t *value,
		   unsigned int size)
{
	struct vcpu_access access = {
		.address = port,
		.data = *value,
		.size = (uint8_t)size,
		.port = true,
		.write = write,
	};
	int error = access_device(emulation_of(emulator), &access);

	*value = (uint32_t)access.data;
	return error;
}

static int device_piece(struct emulation *emulation, const struct piece *piece, uint8_t *data,
			bool write)
{
	unsigned int done, size;
	int error;

	for (done = 0; done < piece->size; done += size) {
		struct vcpu_access access = { .address = piece->gpa + done, .write = write };

		size = piece_device_access(piece->size - done);
		access.size = (uint8_t)size;
		if (write)
			memcpy(&access.data, data + done, size);
		error = access_device(emulation, &access);
		if (error)
			return error;
		if (!write)
			memcpy(data + done, &access.data, size);
	}
	return 0;
}

/* --- finding them --------------------------------------------------------- */

static int translate_piece(struct emulator *emulator, uint64_t linear, bool write,
			   struct piece *piece)
{
	struct emulation *emulation = emulation_of(emulator);
	uint32_t error_code;
	int error;

	if (likely(emulation_is_faulting_operand(emulation, linear, piece->size, write))) {
		piece->gpa = emulation->gpa;
		return 0;
	}
	if (!emulation->walk_ready) {
		walk_state_in(emulation->vcpu, &emulation->mode, &emulation->walk);
		emulation->walk_ready = true;
	}
	error = walk_vcpu(emulation->vcpu, &emulation->walk, linear, write ? WALK_WRITE : 0,
			  &piece->gpa, &error_code);
	if (error == -EFAULT)
		return emulator_page_fault(emulator, linear, error_code);
	return error == -EAGAIN ? wait_for_memory(emulation, piece->gpa) : error;
}

/* The nested fault has shown that there is no memory for this kind of access. */
static bool is_known_device(const struct emulation *emulation, uint64_t gpa, bool write)
{
	return (emulation->gpa ^ gpa) < OS_PAGE_SIZE && emulation->prot &&
	       (write || !(emulation->prot & VM_PROT_WRITE));
}

/* What is behind a translated piece; for a device hva is NULL. */
static int find_memory(struct emulation *emulation, struct piece *piece, bool write)
{
	struct vm *vm = emulation->vcpu->vm;
	int prot = write ? VM_PROT_READ | VM_PROT_WRITE : VM_PROT_READ;
	const struct memmap_entry *entry;

	piece->hva = NULL;
	if (likely(is_known_device(emulation, piece->gpa, write)))
		return 0;
	piece->hva = memory_hva(vm, piece->gpa, prot);
	if (piece->hva)
		return 0;
	entry = memory_lookup(vm, piece->gpa);
	if (entry && (entry->prot & prot) == prot)
		return wait_for_memory(emulation, piece->gpa);
	return 0;
}

/*
 * The pieces of an access, translated: their number (1 or 2), or a negative errno.
 * 'check' is what the guest's tables have to allow, 'write' what is done now.
 */
static inline int find_pieces(struct emulation *emulation, uint64_t linear, unsigned int size,
			      bool check, bool write, struct piece pieces[MOST_PIECES])
{
	int count = pieces_translate(&emulation->emulator, linear, size, check, translate_piece,
				     pieces);
	int i, error;

	for (i = 0; i < count; i++) {
		error = find_memory(emulation, &pieces[i], write);
		if (unlikely(error))
			return error;
	}
	return count;
}

/* --- the engine's operations ----------------------------------------------- */

int emulation_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		   enum emulate_access access)
{
	struct emulation *emulation = emulation_of(emulator);
	struct piece pieces[MOST_PIECES];
	uint8_t *to = data;
	int count = find_pieces(emulation, linear, size, access != EMULATE_READ, false, pieces);
	int i, error = 0;

	if (unlikely(count < 0))
		return count;
	for (i = 0; i < count && !error; i++) {
		if (pieces[i].hva)
			piece_read_ram(&pieces[i], to);
		else
			error = device_piece(emulation, &pieces[i], to, false);
		to += pieces[i].size;
	}
	return error;
}

int emulation_write(struct emulator *emulator, uint64_t linear, const void *data, unsigned int size)
{
	struct emulation *emulation = emulation_of(emulator);
	struct piece pieces[MOST_PIECES];
	uint8_t bytes[64], *from = bytes;
	int count = find_pieces(emulation, linear, size, true, true, pieces);
	int i, error = 0;

	if (unlikely(count < 0))
		return count;
	memcpy(bytes, data, size);
	for (i = 0; i < count && !error; i++) {
		if (pieces[i].hva)
			piece_write_ram(&pieces[i], from);
		else
			error = device_piece(emulation, &pieces[i], from, true);
		from += pieces[i].size;
	}
	return error;
}

int emulation_probe(struct emulator *emulator, uint64_t linear, unsigned int size,
		    enum emulate_access access)
{
	struct piece pieces[MOST_PIECES];
	bool write = access != EMULATE_READ;
	int count = find_pieces(emulation_of(emulator), linear, size, write, write, pieces);

	return count < 0 ? count : 0;
}

int emulation_exchange(struct emulator *emulator, uint64_t linear, const void *old, const void *new,
		       unsigned int size)
{
	struct piece pieces[MOST_PIECES];
	int count = find_pieces(emulation_of(emulator), linear, size, true, true, pieces);

	if (count < 0)
		return count;
	if (count == 1 && pieces[0].hva)
		return piece_exchange_ram(&pieces[0], old, new);
	return emulation_write(emulator, linear, new, size);
}
