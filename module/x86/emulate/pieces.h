/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pieces of an emulated access: it is split at a page boundary, and each piece
 * is RAM or a device. For the module and the library, which differ in how an
 * address is translated and in what a device is. In a header, so that the path of
 * a device access calls nothing.
 */
#ifndef X86_EMULATE_PIECES_H
#define X86_EMULATE_PIECES_H

#include "os/os.h"
#include "x86/emulate/emulate_insn.h"

/* A part of an access that lies within one page. */
struct piece {
	uint64_t gpa;
	void *hva; /* RAM, which stays mapped during the access; NULL: a device */
	unsigned int size;
};

#define MOST_PIECES 2 /* an access crosses one page boundary at most */

/*
 * Translates the piece at 'linear', of piece->size bytes, through the guest's page
 * tables; 'write': they must allow writing. Returns as an emulator's ops do.
 */
typedef int (*piece_translator)(struct emulator *emulator, uint64_t linear, bool write,
				struct piece *piece);

/* Outside 64-bit mode linear addresses have 32 bits. */
static inline uint64_t piece_wrap_linear(const struct emulator *emulator, uint64_t linear)
{
	return emulator->cpu_mode == CPU_MODE_64BIT ? linear : (uint32_t)linear;
}

/*
 * Translates all of an access before any of it is done. The number of pieces, 1 or
 * 2, or a negative errno from 'translate'. Inlined, so that 'translate' is as well.
 */
static __always_inline int pieces_translate(struct emulator *emulator, uint64_t linear,
					    unsigned int size, bool write,
					    piece_translator translate,
					    struct piece pieces[MOST_PIECES])
{
	unsigned int first = (unsigned int)(OS_PAGE_SIZE - linear % OS_PAGE_SIZE);
	int error;

	pieces[0].size = min_t(unsigned int, size, first);
	error = translate(emulator, linear, write, &pieces[0]);
	if (unlikely(error))
		return error;
	if (likely(size <= first))
		return 1;
	pieces[1].size = size - first;
	error = translate(emulator, piece_wrap_linear(emulator, linear + first), write, &pieces[1]);
	return error ? error : 2;
}

/* --- devices ----------------------------------------------------------------------- */

/* The largest access to a device that fits: a power of two, at most 8 bytes. */
static inline unsigned int piece_device_access(unsigned int left)
{
	return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* --- RAM --------------------------------------------------------------------------- */

/* Naturally aligned accesses are single ones, as the guest's other processors expect. */
static inline bool piece_is_single(const struct piece *piece)
{
	return (uintptr_t)piece->hva % piece->size == 0;
}

/* The data of an operand lie at any address: only the guest's side is one access. */
#define PIECE_LOAD(type, data)                                   \
	({                                                       \
		type piece_value;                                \
		memcpy(&piece_value, data, sizeof(piece_value)); \
		piece_value;                                     \
	})

#define PIECE_READ(type, data, hva)                                 \
	do {                                                        \
		type piece_value = READ_ONCE(*(const type *)(hva)); \
		memcpy(data, &piece_value, sizeof(piece_value));    \
	} while (0)

static inline void piece_read_ram(const struct piece *piece, uint8_t *data)
{
	const void *hva = piece->hva;

	if (piece->size == 8 && piece_is_single(piece))
		PIECE_READ(uint64_t, data, hva);
	else if (piece->size == 4 && piece_is_single(piece))
		PIECE_READ(uint32_t, data, hva);
	else if (piece->size == 2 && piece_is_single(piece))
		PIECE_READ(uint16_t, data, hva);
	else
		memcpy(data, hva, piece->size);
}

static inline void piece_write_ram(const struct piece *piece, const uint8_t *data)
{
	void *hva = piece->hva;

	if (piece->size == 8 && piece_is_single(piece))
		WRITE_ONCE(*(uint64_t *)hva, PIECE_LOAD(uint64_t, data));
	else if (piece->size == 4 && piece_is_single(piece))
		WRITE_ONCE(*(uint32_t *)hva, PIECE_LOAD(uint32_t, data));
	else if (piece->size == 2 && piece_is_single(piece))
		WRITE_ONCE(*(uint16_t *)hva, PIECE_LOAD(uint16_t, data));
	else
		memcpy(hva, data, piece->size);
}

static inline bool piece_exchange_16(void *where, const void *old, const void *new)
{
	uint64_t expected[2], replacement[2];
	bool equal;

	memcpy(expected, old, 16);
	memcpy(replacement, new, 16);
	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(equal), "+m"(*(char(*)[16])where), "+a"(expected[0]),
			   "+d"(expected[1])
			 : "b"(replacement[0]), "c"(replacement[1])
			 : "memory");
	return equal;
}

#define PIECE_EXCHANGE(type, where, old, new)                                                  \
	({                                                                                     \
		type expected = PIECE_LOAD(type, old);                                         \
		__atomic_compare_exchange_n((type *)(where), &expected, PIECE_LOAD(type, new), \
					    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);        \
	})

/*
 * Compare-and-swap: 0, or -EBUSY if something other than 'old' is there. Unaligned
 * operands are only written: the host makes no locked access that crosses cache lines.
 */
static inline int piece_exchange_ram(const struct piece *piece, const void *old, const void *new)
{
	bool done = true;

	if (!piece_is_single(piece))
		memcpy(piece->hva, new, piece->size);
	else if (piece->size == 1)
		done = PIECE_EXCHANGE(uint8_t, piece->hva, old, new);
	else if (piece->size == 2)
		done = PIECE_EXCHANGE(uint16_t, piece->hva, old, new);
	else if (piece->size == 4)
		done = PIECE_EXCHANGE(uint32_t, piece->hva, old, new);
	else if (piece->size == 8)
		done = PIECE_EXCHANGE(uint64_t, piece->hva, old, new);
	else
		done = piece_exchange_16(piece->hva, old, new);
	return done ? 0 : -EBUSY;
}

#endif
