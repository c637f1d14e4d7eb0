/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM that is loaded: created if it does not exist, reset if it does, given
 * memory, and its first vCPU set up. What fails leaves no VM behind that was not
 * there before.
 */
#ifndef BHYVELOAD_TARGET_H
#define BHYVELOAD_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include <vmmapi.h>

#include "common/failure.h"
#include "guest.h"
#include "state.h"

struct target {
	struct vmctx *ctx;
	bool created; /* by us: a failure destroys it */
};

/*
 * Opens or creates the VM 'name' and gives it 'size' bytes of memory. 'memflags'
 * are VM_MEM_F_. A VM that runs is a failure.
 */
int target_open(struct target *target, const char *name, size_t size, int memflags,
		struct failure *failure);

/* Access to its memory for what is put there. */
int target_guest(struct target *target, struct guest *guest);

/* Puts vCPU 0 into the state. */
int target_set_state(struct target *target, const struct boot_state *state,
		     struct failure *failure);

/* Closes the VM, and destroys it if 'failed' and it was created here. */
void target_close(struct target *target, bool failed);

#endif
