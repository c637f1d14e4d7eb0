/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parts of a whole: a table of pairs, created in order and destroyed in reverse. 'whole'
 * is the type that the functions take, void where there is only one whole:
 *
 *	PARTS(vm_parts, struct vm *vm) = { { vm_create_npt, vm_destroy_npt }, ... };
 *
 *	error = parts_create(vm_parts, vm);
 *	parts_destroy(vm_parts, vm);
 */
#ifndef OS_PARTS_H
#define OS_PARTS_H

#include "os/os.h"

#define PARTS(name, whole)              \
	static const struct {           \
		int (*create)(whole);   \
		void (*destroy)(whole); \
	} name[]

/* Destroy the first 'count' parts, the last of them first. */
#define parts_destroy_first(parts, count, ...)               \
	do {                                                 \
		for (size_t part_ = (count); part_-- > 0;)   \
			(parts)[part_].destroy(__VA_ARGS__); \
	} while (0)

#define parts_destroy(parts, ...) parts_destroy_first(parts, ARRAY_SIZE(parts), ##__VA_ARGS__)

/* 0, or the error of the first part that fails: what was created before it is destroyed. */
#define parts_create(parts, ...)                                                    \
	({                                                                          \
		size_t parts_created_ = 0;                                          \
		int parts_error_ = 0;                                               \
                                                                                    \
		while (parts_created_ < ARRAY_SIZE(parts)) {                        \
			parts_error_ = (parts)[parts_created_].create(__VA_ARGS__); \
			if (parts_error_)                                           \
				break;                                              \
			parts_created_++;                                           \
		}                                                                   \
		if (parts_error_)                                                   \
			parts_destroy_first(parts, parts_created_, ##__VA_ARGS__);  \
		parts_error_;                                                       \
	})

#endif
