// SPDX-License-Identifier: BSD-2-Clause
/* Guest memory at linear addresses. See linear.h. */
#include "x86/paging/linear.h"

/* The host address of the byte at 'linear', or NULL with *error. */
static void *hva_of(struct vcpu *vcpu, uint64_t gpa, bool write, int *error)
{
	int prot = write ? VM_PROT_WRITE : VM_PROT_READ;
	void *hva = memory_hva(vcpu->vm, gpa, prot);

	if (!hva) {
		*error = memory_populate(vcpu->vm, gpa);
		hva = *error ? NULL : memory_hva(vcpu->vm, gpa, prot);
	}
	if (!hva)
		*error = *error == -ENOMEM ? -ENOMEM : -ENXIO;
	return hva;
}

static int linear_translate(struct vcpu *vcpu, const struct walk_state *walk, uint64_t linear,
			    unsigned int access, uint64_t *gpa)
{
	uint32_t error_code = 0;
	int error = walk_populate(vcpu, walk, linear, access, gpa, &error_code);

	if (error == -EFAULT)
		vcpu_raise_page_fault(vcpu, linear, error_code);
	return error == -EBUSY ? -ENXIO : error;
}

/* To or from 'buffer' by 'access'; NULL: neither. */
static int linear_access(struct vcpu *vcpu, uint64_t linear, uint8_t *buffer, unsigned int size,
			 unsigned int access)
{
	struct walk_state walk;

	walk_state_of(vcpu, &walk);
	while (size > 0) {
		unsigned int piece = (unsigned int)(OS_PAGE_SIZE - linear % OS_PAGE_SIZE);
		uint64_t gpa = 0;
		uint8_t *hva;
		int error;

		if (piece > size)
			piece = size;
		error = linear_translate(vcpu, &walk, linear, access, &gpa);
		if (error)
			return error;
		hva = hva_of(vcpu, gpa, access & WALK_WRITE, &error);
		if (!hva)
			return error;
		if (buffer) {
			memcpy(access & WALK_WRITE ? hva : buffer,
			       access & WALK_WRITE ? buffer : hva, piece);
			buffer += piece;
		}
		linear += piece;
		if (walk.paging.cpu_mode != CPU_MODE_64BIT)
			linear = (uint32_t)linear;
		size -= piece;
	}
	return 0;
}

int linear_read(struct vcpu *vcpu, uint64_t linear, void *buffer, unsigned int size,
		unsigned int access)
{
	return linear_access(vcpu, linear, buffer, size, access & ~(unsigned int)WALK_WRITE);
}

int linear_write(struct vcpu *vcpu, uint64_t linear, const void *buffer, unsigned int size,
		 unsigned int access)
{
	/* A write only reads the buffer. */
	return linear_access(vcpu, linear, (uint8_t *)(uintptr_t)buffer, size, access | WALK_WRITE);
}

int linear_probe_write(struct vcpu *vcpu, uint64_t linear, unsigned int size, unsigned int access)
{
	return linear_access(vcpu, linear, NULL, size, access | WALK_WRITE);
}
