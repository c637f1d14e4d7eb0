// SPDX-License-Identifier: BSD-2-Clause
/* Going to ring 3. */
#include "user.h"

#define TSS_BYTES      offsetof(struct tss, bitmap)
#define DESCRIPTOR_TSS 0x89ull /* present, available 64-bit TSS */

extern uint64_t boot_pml4[], boot_pointers[], boot_directories[];
extern uint64_t gdt_tss[];

struct tss tss __attribute__((aligned(4096)));
uint8_t user_kernel_stack[8192] __attribute__((aligned(16)));
static uint8_t user_stack[8192] __attribute__((aligned(16)));

static void write_descriptor(uint64_t limit)
{
	uint64_t base = (uint64_t)&tss;

	gdt_tss[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | DESCRIPTOR_TSS << 40 |
		     (limit >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56;
	gdt_tss[1] = base >> 32;
	asm volatile("ltr %w0" : : "r"(TSS_SELECTOR) : "memory");
}

void tss_load(void)
{
	tss.rsp[0] = (uint64_t)user_kernel_stack + sizeof(user_kernel_stack);
	tss.bitmap_base = sizeof(tss);
	write_descriptor(TSS_BYTES - 1);
}

void tss_deny_all_ports(void)
{
	memset(tss.bitmap, 0xff, sizeof(tss.bitmap));
	tss.bitmap_base = TSS_BYTES;
	write_descriptor(sizeof(tss) - 1);
}

void tss_allow_port(uint16_t port)
{
	tss.bitmap[port / 8] &= (uint8_t) ~(1u << port % 8);
}

void user_enable(void)
{
	boot_pml4[0] |= 4;
	for (unsigned int i = 0; i < 4; i++)
		boot_pointers[i] |= 4;
	for (unsigned int i = 0; i < 2048; i++)
		boot_directories[i] |= 4;
	write_cr3(read_cr3());
	tss_load();
}

struct entry {
	void (*code)(void *argument);
	void *argument;
	uint64_t rflags;
};

static void enter_ring_3(void *arg)
{
	struct entry *entry = arg;
	uint64_t top = (uint64_t)user_stack + sizeof(user_stack) - 8;

	asm volatile("pushq %0; pushq %1; pushq %2; pushq %3; pushq %4\n"
		     "iretq\n"
		     :
		     : "i"(USER_DATA), "r"(top), "r"(entry->rflags), "i"(USER_CODE),
		       "r"(entry->code), "D"(entry->argument)
		     : "memory");
}

struct trap user_attempt(void (*code)(void *argument), void *argument, uint64_t rflags)
{
	struct entry entry = { code, argument, rflags };

	return attempt(enter_ring_3, &entry);
}
