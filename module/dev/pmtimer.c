// SPDX-License-Identifier: BSD-2-Clause
/* The ACPI power-management timer: the host's clock in other units. */
#include "vm/vcpu.h"
#include "dev/periodic.h"
#include "dev/pmtimer.h"

struct pmtimer {
	uint64_t start_ns; /* atomic: when it was 0 */
};

int pmtimer_create(struct vm *vm)
{
	vm->pmtimer = os_alloc(sizeof(*vm->pmtimer));
	if (!vm->pmtimer)
		return -ENOMEM;
	pmtimer_reset(vm);
	return 0;
}

void pmtimer_destroy(struct vm *vm)
{
	os_free(vm->pmtimer);
	vm->pmtimer = NULL;
}

void pmtimer_reset(struct vm *vm)
{
	__atomic_store_n(&vm->pmtimer->start_ns, os_now_ns(), __ATOMIC_RELAXED);
}

uint32_t pmtimer_read(struct vm *vm)
{
	uint64_t start = __atomic_load_n(&vm->pmtimer->start_ns, __ATOMIC_RELAXED);

	return (uint32_t)clock_scale(os_now_ns() - start, NS_PER_SECOND, PMTIMER_HZ);
}

/* One reading of the counter, however it is cut; ones beyond it. */
uint32_t pmtimer_port_read(struct vm *vm, uint16_t port, unsigned int size)
{
	unsigned int offset = port - PMTIMER_PORT;
	uint64_t value = (0xffffffffull << 32 | pmtimer_read(vm)) >> offset * 8;

	return (uint32_t)(value & (BIT_ULL(size * 8) - 1));
}
