// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest-linear addresses: their translation by the guest's own tables, and
 * copies to and from them.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "internal.h"

#define PAGE_BYTES 4096ULL

static int translate_linear(struct vcpu *vcpu, unsigned long request,
			    struct vm_guest_paging *paging, uint64_t gla, int prot, uint64_t *gpa,
			    int *fault)
{
	struct vm_gla2gpa argument = {
		.vcpuid = vcpu->id,
		.prot = prot,
		.gla = gla,
		.paging = *paging,
	};

	if (ioctl(vcpu->ctx->fd, request, &argument))
		return -1;
	*fault = argument.fault;
	*gpa = argument.gpa;
	return 0;
}

int vm_gla2gpa(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t gla, int prot,
	       uint64_t *gpa, int *fault)
{
	return translate_linear(vcpu, VM_GLA2GPA, paging, gla, prot, gpa, fault);
}

int vm_gla2gpa_nofault(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t gla, int prot,
		       uint64_t *gpa, int *fault)
{
	return translate_linear(vcpu, VM_GLA2GPA_NOFAULT, paging, gla, prot, gpa, fault);
}

int vm_copy_setup(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t gla, size_t len,
		  int prot, struct iovec *iov, int iovcnt, int *fault)
{
	uint64_t gpa;
	size_t piece;
	void *address;

	*fault = 0;
	for (int i = 0; i < iovcnt; i++) {
		iov[i].iov_base = NULL;
		iov[i].iov_len = 0;
	}
	for (int i = 0; len > 0; i++) {
		if (i >= iovcnt) {
			errno = EFAULT;
			return -1;
		}
		if (vm_gla2gpa(vcpu, paging, gla, prot, &gpa, fault))
			return -1;
		if (*fault)
			return 0;
		piece = MIN(len, PAGE_BYTES - (gpa & (PAGE_BYTES - 1)));
		address = vm_map_gpa(vcpu->ctx, gpa, piece);
		if (!address) {
			errno = EFAULT;
			return -1;
		}
		iov[i].iov_base = address;
		iov[i].iov_len = piece;
		gla += piece;
		len -= piece;
	}
	return 0;
}

void vm_copyin(struct iovec *guest_iov, void *host_dst, size_t len)
{
	char *to = host_dst;

	for (; len > 0; guest_iov++) {
		size_t piece = MIN(len, guest_iov->iov_len);

		memcpy(to, guest_iov->iov_base, piece);
		to += piece;
		len -= piece;
	}
}

void vm_copyout(const void *host_src, struct iovec *guest_iov, size_t len)
{
	const char *from = host_src;

	for (; len > 0; guest_iov++) {
		size_t piece = MIN(len, guest_iov->iov_len);

		memcpy(guest_iov->iov_base, from, piece);
		from += piece;
		len -= piece;
	}
}

void vm_copy_teardown(struct iovec *iov, int iovcnt)
{
	/* Pieces are pointers into memory that stays mapped: nothing to release. */
	memset(iov, 0, sizeof(*iov) * (size_t)iovcnt);
}
