// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's device "edu" in a guest's hands: registers, MSI, its interrupt line, DMA
 * both ways, and DMA outside the guest's memory.
 */
#include "pci.h"

#define ID	    0x00
#define LIVENESS    0x04
#define FACTORIAL   0x08
#define STATUS	    0x20
#define IRQ_STATUS  0x24
#define IRQ_RAISE   0x60
#define IRQ_ACK	    0x64
#define DMA_FROM    0x80
#define DMA_TO	    0x88
#define DMA_COUNT   0x90
#define DMA_COMMAND 0x98

#define DMA_START 1u
#define DMA_WRITE 2u /* from the device */
#define DMA_IRQ	  4u

#define BUFFER 0x40000u /* inside the device */
/* Of its 4096 bytes it refuses the last, by stopping the whole machine. */
#define BUFFER_SIZE 4088u
#define DMA_IRQ_BIT 0x100u

#define VECTOR 0x61

static unsigned int slot;
static volatile uint8_t *edu;
static uint8_t source[4096] __attribute__((aligned(4096)));
static uint8_t target[4096] __attribute__((aligned(4096)));

static void open_edu(void)
{
	slot = find_device(0x1234, 0x11e8);
	enable_device(slot);
	edu = bar_of(slot, 0);
}

static void write64(volatile uint8_t *at, uint64_t value)
{
	*(volatile uint64_t *)at = value;
}

/* One transfer of the buffer: waits for its end, but not for ever. */
static void dma_transfer(uint64_t from, uint64_t to, uint32_t command)
{
	uint32_t start = inl(0x408);

	write64(edu + DMA_FROM, from);
	write64(edu + DMA_TO, to);
	write64(edu + DMA_COUNT, BUFFER_SIZE);
	write64(edu + DMA_COMMAND, DMA_START | command);
	while ((read32(edu + DMA_COMMAND) & DMA_START) && inl(0x408) - start < 30 * 3579545u)
		pause();
	CHECK(!(read32(edu + DMA_COMMAND) & DMA_START));
}

static void fill_with_pattern(uint8_t *page, unsigned int seed)
{
	for (unsigned int i = 0; i < BUFFER_SIZE; i++)
		page[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

TEST(edu_registers)
{
	open_edu();
	CHECK_EQ(read32(edu + ID), 0x010000ed);
	write32(edu + LIVENESS, 0x12345678);
	CHECK_EQ(read32(edu + LIVENESS), ~0x12345678u);
	write32(edu + FACTORIAL, 8);
	while (read32(edu + STATUS) & 1)
		pause();
	CHECK_EQ(read32(edu + FACTORIAL), 40320);
}

TEST(edu_moves_with_its_bar)
{
	uint32_t old;

	open_edu();
	old = config_read(slot, 0x10);
	config_write(slot, 0x10, 0xd0000000);
	CHECK_EQ(read32((volatile uint8_t *)0xd0000000ul), 0x010000ed);
	CHECK_EQ(read32(edu), 0xffffffff);
	config_write(slot, 0x10, 0xffffffff);
	CHECK_EQ(config_read(slot, 0x10), 0xfff00000);
	config_write(slot, 0x10, old);
	CHECK_EQ(read32(edu), 0x010000ed);
	config_write16(slot, 4, 0);
	CHECK_EQ(read32(edu), 0xffffffff);
}

static void on_interrupt(struct frame *frame)
{
	(void)frame;
	write32(edu + IRQ_ACK, read32(edu + IRQ_STATUS));
	apic_eoi();
}

static void raise_some(void)
{
	for (unsigned int i = 1; i <= 20; i++) {
		write32(edu + IRQ_RAISE, 1u << i);
		await_interrupts(VECTOR, i);
		CHECK_EQ(taken[VECTOR], i);
		CHECK_EQ(read32(edu + IRQ_STATUS), 0);
	}
	await_none();
	CHECK_EQ(taken[VECTOR], 20);
}

TEST(edu_msi)
{
	open_edu();
	apic_enable();
	set_handler(VECTOR, on_interrupt);
	enable_msi(slot, VECTOR);
	raise_some();
}

TEST(edu_line)
{
	open_edu();
	apic_enable();
	set_handler(VECTOR, on_interrupt);
	route_line(slot, VECTOR);
	raise_some();
}

/* The device is served at the third interrupt only: until then they come again. */
static void on_interrupt_late(struct frame *frame)
{
	(void)frame;
	if (taken[VECTOR] == 3)
		write32(edu + IRQ_ACK, ~0u);
	apic_eoi();
}

TEST(edu_line_comes_again_until_served)
{
	open_edu();
	apic_enable();
	set_handler(VECTOR, on_interrupt_late);
	route_line(slot, VECTOR);
	write32(edu + IRQ_RAISE, 1);
	await_interrupts(VECTOR, 3);
	await_none();
	CHECK_EQ(taken[VECTOR], 3);
}

TEST(edu_line_can_be_disabled)
{
	open_edu();
	apic_enable();
	set_handler(VECTOR, on_interrupt);
	route_line(slot, VECTOR);
	config_write16(slot, 4, 0x406);
	write32(edu + IRQ_RAISE, 1);
	await_none();
	CHECK_EQ(taken[VECTOR], 0);
	config_write16(slot, 4, 0x006);
	await_interrupts(VECTOR, 1);
	CHECK_EQ(taken[VECTOR], 1);
}

TEST(edu_dma_both_ways)
{
	open_edu();
	for (unsigned int turn = 0; turn < 3; turn++) {
		fill_with_pattern(source, turn * 31);
		memset(target, 0, sizeof(target));
		dma_transfer((uint64_t)source, BUFFER, 0);
		dma_transfer(BUFFER, (uint64_t)target, DMA_WRITE);
		CHECK_EQ(memcmp(source, target, BUFFER_SIZE), 0);
	}
}

TEST(edu_dma_tells_of_its_end)
{
	open_edu();
	apic_enable();
	set_handler(VECTOR, on_interrupt);
	enable_msi(slot, VECTOR);
	fill_with_pattern(source, 5);
	dma_transfer((uint64_t)source, BUFFER, DMA_IRQ);
	await_interrupts(VECTOR, 1);
	CHECK_EQ(taken[VECTOR], 1);
}

/* Without bus mastering a device stays away from memory. */
TEST(edu_dma_needs_bus_mastering)
{
	open_edu();
	fill_with_pattern(source, 1);
	dma_transfer((uint64_t)source, BUFFER, 0);
	config_write16(slot, 4, 0x2);
	memset(target, 0x5a, sizeof(target));
	dma_transfer(BUFFER, (uint64_t)target, DMA_WRITE);
	for (unsigned int i = 0; i < BUFFER_SIZE; i++)
		CHECK_EQ(target[i], 0x5a);
}

/*
 * The argument is the physical address of a page of the host, which is filled with
 * 0xa5 and checked by the host afterwards. The device can neither write nor read it.
 */
TEST(edu_dma_does_not_reach_the_host)
{
	uint64_t page = argument();

	open_edu();
	fill_with_pattern(source, 9);
	dma_transfer((uint64_t)source, BUFFER, 0);
	dma_transfer(BUFFER, page, DMA_WRITE);
	dma_transfer(page, BUFFER, 0);
	memset(target, 0, sizeof(target));
	dma_transfer(BUFFER, (uint64_t)target, DMA_WRITE);
	for (unsigned int i = 0; i < BUFFER_SIZE - 2; i += 512)
		CHECK(target[i] != 0xa5 || target[i + 1] != 0xa5 || target[i + 2] != 0xa5);
}

/* The host kills the VMM process meanwhile: transfers without end. */
TEST(edu_dma_forever)
{
	open_edu();
	fill_with_pattern(source, 3);
	for (;;) {
		dma_transfer((uint64_t)source, BUFFER, 0);
		dma_transfer(BUFFER, (uint64_t)target, DMA_WRITE);
	}
}
