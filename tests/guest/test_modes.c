// SPDX-License-Identifier: BSD-2-Clause
/* Code of every mode, and what exits there: intercepted instructions, devices, interrupts. */
#include "payload/modes.h"
#include "payload/payload.h"

#define HPET	 0xfed00000ul
#define FAR_PORT 0x3e0

static const char *const mode_names[] = {
	"compatibility", "protected", "PSE", "PAE", "16-bit protected", "real", "unreal",
};

#define MODE_COUNT  (sizeof(mode_names) / sizeof(mode_names[0]))
#define IS_16(mode) ((mode) >= MODE_PROTECTED_16)

/* The same snippet assembled for both sizes. */
#define SNIPPETS(name, text)          \
	SNIPPET(name##_16, 16, text); \
	SNIPPET(name##_32, 32, text)

#define RUN_EITHER(mode, name)                             \
	do {                                               \
		if (IS_16(mode))                           \
			RUN((enum mode)(mode), name##_16); \
		else                                       \
			RUN((enum mode)(mode), name##_32); \
	} while (0)

#define CHECK_MODE(mode, actual, expected)                                               \
	do {                                                                             \
		uint64_t actual_ = (actual), expected_ = (expected);                     \
		if (actual_ != expected_)                                                \
			fail("%s: %s is %x, not %x", mode_names[mode], #actual, actual_, \
			     expected_);                                                 \
	} while (0)

SNIPPETS(cr0,
	 "movl %cr0, %esi; movl %cr4, %ebx; movl $0xc0000080, %ecx; rdmsr; movl %eax, %ecx; ret");

TEST(every_mode_is_entered_and_left)
{
	for (unsigned int mode = 0; mode < MODE_COUNT; mode++) {
		bool paging = mode <= MODE_PAE && mode != MODE_PROTECTED;
		bool protected = mode <= MODE_PROTECTED_16;

		RUN_EITHER(mode, cr0);
		CHECK_MODE(mode, mode_registers.esi & 1, protected);
		CHECK_MODE(mode, mode_registers.esi >> 31, paging);
		CHECK_MODE(mode, mode_registers.ebx >> 5 & 1, mode != MODE_PSE);
		CHECK_MODE(mode, mode_registers.ecx & 0x500,
			   mode == MODE_COMPATIBILITY ? 0x500 : 0);
		CHECK_EQ(rdmsr(0xc0000080) & 0x500, 0x500);
	}
}

SNIPPETS(cpuid, "movl $0x40000000, %eax; cpuid; movl $0x5a5a5a5a, %esi; ret");

TEST(cpuid_in_every_mode)
{
	struct cpuid expected = cpuid(0x40000000);

	for (unsigned int mode = 0; mode < MODE_COUNT; mode++) {
		mode_registers = (struct mode_registers){ 0 };
		RUN_EITHER(mode, cpuid);
		CHECK_MODE(mode, mode_registers.eax, expected.a);
		CHECK_MODE(mode, mode_registers.ebx, expected.b);
		CHECK_MODE(mode, mode_registers.ecx, expected.c);
		CHECK_MODE(mode, mode_registers.edx, expected.d);
		CHECK_MODE(mode, mode_registers.esi, 0x5a5a5a5a);
	}
}

SNIPPETS(ports, "movb $0x96, %al; outb %al, $0x21; movl $0x11223344, %eax; inb $0x21, %al\n"
		"movl %eax, %ebx; movl $0x11223344, %eax; inw %dx, %ax; movl %eax, %ecx\n"
		"movl $0, %eax; inl %dx, %eax; outl %eax, %dx; ret");

TEST(ports_in_every_mode)
{
	for (unsigned int mode = 0; mode < MODE_COUNT; mode++) {
		mode_registers = (struct mode_registers){ .edx = FAR_PORT };
		RUN_EITHER(mode, ports);
		CHECK_MODE(mode, mode_registers.ebx, 0x11223396);
		CHECK_MODE(mode, mode_registers.ecx, 0x1122ffff);
		CHECK_MODE(mode, mode_registers.eax, 0xffffffff);
	}
}

/* ES:(E)DI: in 16-bit modes ES begins at SNIPPET_SEGMENT. */
SNIPPETS(string, "cld; rep insb; ret");

TEST(string_input_in_every_mode)
{
	volatile uint8_t *to = (volatile uint8_t *)0xa000;

	outb(0x21, 0x3d);
	for (unsigned int mode = 0; mode < MODE_COUNT; mode++) {
		uint32_t base = IS_16(mode) ? SNIPPET_SEGMENT * 16 : 0;
		/* What a 16-bit address leaves alone. */
		uint32_t upper = IS_16(mode) ? 0xabcd0000 : 0;

		for (unsigned int i = 0; i < 8; i++)
			to[i] = 0;
		mode_registers = (struct mode_registers){
			.ecx = upper | 3,
			.edx = 0x21,
			.edi = upper | (0xa000 - base),
		};
		RUN_EITHER(mode, string);
		CHECK_MODE(mode, to[0], 0x3d);
		CHECK_MODE(mode, to[2], 0x3d);
		CHECK_MODE(mode, to[3], 0);
		CHECK_MODE(mode, mode_registers.ecx, upper);
		CHECK_MODE(mode, mode_registers.edi, upper | (0xa003 - base));
	}
}

SNIPPET(wrap, 16, "cld; rep insb; ret");

TEST(string_address_of_16_bits_wraps)
{
	volatile uint8_t *segment = (volatile uint8_t *)(SNIPPET_SEGMENT * 16ul);

	outb(0x21, 0x4e);
	segment[0xfffe] = segment[0xffff] = segment[0x10000] = 0;
	mode_registers = (struct mode_registers){ .ecx = 2, .edx = 0x21, .edi = 0xfffe };
	RUN(MODE_REAL, wrap);
	CHECK_EQ(mode_registers.edi, 0);
	CHECK_EQ(segment[0xfffe], 0x4e);
	CHECK_EQ(segment[0xffff], 0x4e);
	CHECK_EQ(segment[0x10000], 0);
}

SNIPPET(device_32, 32,
	"movl (%esi), %eax; movzbl 3(%esi), %ebx; movl %ecx, (%edi)\n"
	"movl (%edi), %ecx; movw (%edx), %dx; ret");

TEST(devices_in_32_bit_modes)
{
	for (unsigned int mode = 0; mode <= MODE_PAE; mode++) {
		uint32_t period = *(volatile uint32_t *)(HPET + 4);

		*(volatile uint64_t *)(HPET + 0x10) = 0;
		mode_registers = (struct mode_registers){
			.ecx = 0x13572468,
			.edx = 0x20000000,
			.esi = HPET + 4,
			.edi = HPET + 0xf0,
		};
		RUN((enum mode)mode, device_32);
		CHECK_MODE(mode, mode_registers.eax, period);
		CHECK_MODE(mode, mode_registers.ebx, period >> 24);
		CHECK_MODE(mode, mode_registers.ecx, 0x13572468);
		CHECK_MODE(mode, mode_registers.edx, 0x2000ffff);
	}
}

SNIPPET(device_unreal, 16,
	"addr32 movl (%esi), %eax; addr32 movw %cx, (%edi)\n"
	"addr32 movl (%edi), %ebx; ret");

TEST(devices_in_unreal_mode)
{
	*(volatile uint64_t *)(HPET + 0x10) = 0;
	*(volatile uint64_t *)(HPET + 0xf0) = 0x11223344;
	mode_registers = (struct mode_registers){
		.ecx = 0x5566,
		.esi = HPET + 4,
		.edi = HPET + 0xf0,
	};
	RUN(MODE_UNREAL, device_unreal);
	CHECK_EQ(mode_registers.eax, *(volatile uint32_t *)(HPET + 4));
	CHECK_EQ(mode_registers.ebx, 0x11225566);
}

/* Unreal mode stays across exits, memory that nothing has touched among them. */
SNIPPET(unreal, 16,
	"movl $0, %eax; cpuid; movw $0x3e0, %dx; outb %al, %dx; inb $0x21, %al\n"
	"movl $0x12345678, %eax; addr32 movl %eax, (%esi)\n"
	"addr32 movl (%edi), %ebx; ret");

TEST(unreal_mode_survives_exits)
{
	volatile uint32_t *untouched = (volatile uint32_t *)0x2800000;
	static volatile uint32_t word;

	word = 0x0badcafe;
	mode_registers = (struct mode_registers){
		.esi = (uint32_t)(uint64_t)untouched,
		.edi = (uint32_t)(uint64_t)&word,
	};
	RUN(MODE_UNREAL, unreal);
	CHECK_EQ(*untouched, 0x12345678);
	CHECK_EQ(mode_registers.ebx, 0x0badcafe);
}

/* --- interrupts ----------------------------------------------------------- */

static volatile uint64_t seen_cs;

static void note_cs_and_eoi(struct frame *frame)
{
	seen_cs = frame->cs;
	apic_eoi();
}

SNIPPET(halt_32, 32, "sti; hlt; cli; movl $0x77, %ebx; ret");

TEST(interrupt_wakes_compatibility_mode)
{
	apic_enable();
	set_handler(0x41, note_cs_and_eoi);
	apic_write(0x300, 1u << 18 | 1u << 14 | 0x41);
	RUN(MODE_COMPATIBILITY, halt_32);
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(seen_cs, 0x18);
	CHECK_EQ(mode_registers.ebx, 0x77);
}

/* The handler is part of the snippet: EDX counts, and the APIC is left for later. */
SNIPPET(halt_16, 16,
	"movl $0, %edx; sti; hlt; cli; ret\n"
	".balign 64; incl %edx; pushw %bp; movw %sp, %bp; movw 2(%bp), %si\n"
	"movw 4(%bp), %di; popw %bp; iretw");

TEST(interrupt_wakes_real_mode)
{
	volatile uint32_t *vectors = NULL;

	apic_enable();
	asm volatile("" : "+r"(vectors));
	vectors[0x41] = SNIPPET_SEGMENT << 16 | (SNIPPET_BASE + 64 - SNIPPET_SEGMENT * 16);
	mode_registers = (struct mode_registers){ 0 };
	apic_write(0x300, 1u << 18 | 1u << 14 | 0x41);
	RUN(MODE_REAL, halt_16);
	apic_eoi();
	CHECK_EQ(mode_registers.edx, 1);
	CHECK_EQ(mode_registers.edi, SNIPPET_SEGMENT);
	/* Behind the HLT: MOV is 6 bytes, STI and HLT one each. */
	CHECK_EQ(mode_registers.esi, SNIPPET_BASE - SNIPPET_SEGMENT * 16 + 8);
}

SNIPPET(int_16, 16,
	"movl $0, %edx; int $0x50; movl $0x99, %ebx; ret\n"
	".balign 64; incl %edx; pushw %ax; movl $0, %eax; cpuid; movl $7, %edx; popw %ax; iretw");

TEST(int_n_in_real_mode_takes_its_vector)
{
	volatile uint32_t *vectors = NULL;

	asm volatile("" : "+r"(vectors));
	vectors[0x50] = SNIPPET_SEGMENT << 16 | (SNIPPET_BASE + 64 - SNIPPET_SEGMENT * 16);
	RUN(MODE_REAL, int_16);
	CHECK_EQ(mode_registers.edx, 7);
	CHECK_EQ(mode_registers.ebx, 0x99);
}

/* --- paging of 32-bit modes ----------------------------------------------- */

/* mode_run fills the directory, so the snippet makes the entry: ESI its address. */
SNIPPET(move_page_32, 32,
	"movl $0x2800083, (%esi); movl %cr3, %eax; movl %eax, %cr3\n"
	"movl (%edi), %eax; ret");

TEST(pages_of_4_mib_move)
{
	volatile uint32_t *word = (volatile uint32_t *)0x2800010;

	*word = 0x76543210;
	mode_registers = (struct mode_registers){
		.esi = (uint32_t)(uint64_t)&mode_directory[0xc0000000 >> 22],
		.edi = 0xc0000010,
	};
	RUN(MODE_PSE, move_page_32);
	CHECK_EQ(mode_registers.eax, 0x76543210);
	CHECK(mode_directory[0xc0000000 >> 22] & 0x20);
}

/* The HPET through a page of its own: the instruction emulator walks these tables too. */
SNIPPET(device_page_32, 32,
	"movl %ecx, (%esi); movl %cr3, %eax; movl %eax, %cr3\n"
	"movl (%edi), %eax; ret");

TEST(device_behind_a_4_mib_page_elsewhere)
{
	mode_registers = (struct mode_registers){
		.ecx = 0xfec00083,
		.esi = (uint32_t)(uint64_t)&mode_directory[0xc0000000 >> 22],
		.edi = 0xc0000000 + (HPET & 0x3fffff) + 4,
	};
	RUN(MODE_PSE, device_page_32);
	CHECK_EQ(mode_registers.eax, *(volatile uint32_t *)(HPET + 4));
}

/* ESI: an entry of 8 bytes; ECX: what its lower half becomes, the upper one being 0. */
SNIPPET(move_pae_32, 32,
	"movl %ecx, (%esi); movl %cr3, %eax; movl %eax, %cr3\n"
	"movl (%edi), %eax; ret");

TEST(pages_of_2_mib_move_with_pae)
{
	volatile uint32_t *word = (volatile uint32_t *)0x2800010;

	*word = 0x76543210;
	mode_registers = (struct mode_registers){
		.ecx = 0x2800083,
		.esi = (uint32_t)(uint64_t)&mode_pae_directories[0xc0000000 >> 21],
		.edi = 0xc0000010,
	};
	RUN(MODE_PAE, move_pae_32);
	CHECK_EQ(mode_registers.eax, 0x76543210);
	CHECK_EQ(mode_pae_directories[0xc0000000 >> 21] & 0x60, 0x20);
}

/* A whole directory takes another's place: the pointers are read again with CR3. */
TEST(pae_pointers_move_with_cr3)
{
	volatile uint32_t *word = (volatile uint32_t *)0x2800010;

	*word = 0x13572468;
	mode_registers = (struct mode_registers){
		.ecx = (uint32_t)(uint64_t)mode_pae_directories | 1,
		.esi = (uint32_t)(uint64_t)&mode_pae_pointers[1],
		.edi = 0x40000000 + 0x2800010,
	};
	RUN(MODE_PAE, move_pae_32);
	CHECK_EQ(mode_registers.eax, 0x13572468);
}

TEST(device_behind_a_2_mib_page_elsewhere_with_pae)
{
	mode_registers = (struct mode_registers){
		.ecx = (HPET & 0xffe00000) | 0x83,
		.esi = (uint32_t)(uint64_t)&mode_pae_directories[0xc0000000 >> 21],
		.edi = 0xc0000000 + (HPET & 0x1fffff) + 4,
	};
	RUN(MODE_PAE, move_pae_32);
	CHECK_EQ(mode_registers.eax, *(volatile uint32_t *)(HPET + 4));
}

/* A change of CR4.PGE makes the processor look at the pointers once more; they have been used. */
SNIPPET(toggle_global_32, 32,
	"movl %cr4, %ecx; movl %ecx, %eax; xorl $0x80, %eax; movl %eax, %cr4\n"
	"movl %ecx, %cr4; movl %cr3, %eax; movl %eax, %cr3; movl (%edi), %eax; ret");

TEST(pae_pointers_in_use_may_be_loaded_again)
{
	volatile uint32_t *word = (volatile uint32_t *)0x2800010;

	*word = 0x24681357;
	mode_registers = (struct mode_registers){ .edi = 0x2800010 };
	RUN(MODE_PAE, toggle_global_32);
	CHECK_EQ(mode_registers.eax, 0x24681357);
}

/* --- segments that are not flat ------------------------------------------- */

extern uint64_t gdt_free[];

SNIPPET(based_32, 32,
	"movl $0x58, %eax; movl %eax, %gs; movl %gs:4(%esi), %eax\n"
	"movl %gs:0x1000, %ebx; ret");

TEST(device_through_a_segment_with_a_base)
{
	uint64_t base = HPET - 0x1000;

	gdt_free[0] = 0x00cf93000000ffff | (base & 0xffffff) << 16 | (base >> 24) << 56;
	for (unsigned int mode = 0; mode <= MODE_PAE; mode++) {
		mode_registers = (struct mode_registers){ .esi = 0x1000 };
		RUN((enum mode)mode, based_32);
		CHECK_MODE(mode, mode_registers.eax, *(volatile uint32_t *)(HPET + 4));
		CHECK_MODE(mode, mode_registers.ebx, *(volatile uint32_t *)HPET);
	}
}

static volatile uint64_t skip_vector, skip_error;

/* In compatibility mode, whose exceptions come to the tests' own handlers: 3 bytes. */
static void skip_three(struct frame *frame)
{
	skip_vector = frame->vector;
	skip_error = frame->error;
	frame->rip += 3;
}

SNIPPET(limits_32, 32, "movl $0x58, %eax; movl %eax, %gs; movl %gs:(%esi), %eax; ret");

static void run_with_limit(uint64_t descriptor, uint32_t offset)
{
	gdt_free[0] = descriptor | (HPET & 0xffffff) << 16 | (HPET >> 24) << 56;
	skip_vector = 0;
	mode_registers = (struct mode_registers){ .esi = offset };
	RUN(MODE_COMPATIBILITY, limits_32);
}

/* The limit that the module's emulator checks: the operand is a device. */
TEST(limit_of_a_segment_over_a_device)
{
	set_handler(13, skip_three);
	run_with_limit(0x0040930000000007, 4); /* the first 8 bytes */
	CHECK_EQ(skip_vector, 0);
	CHECK_EQ(mode_registers.eax, *(volatile uint32_t *)(HPET + 4));
	run_with_limit(0x0040930000000007, 5);
	CHECK_EQ(skip_vector, 13);
	CHECK_EQ(skip_error, 0);
}

TEST(limit_of_an_expand_down_segment_over_a_device)
{
	set_handler(13, skip_three);
	run_with_limit(0x0040970000000003, 4); /* all but the first 4 bytes */
	CHECK_EQ(skip_vector, 0);
	CHECK_EQ(mode_registers.eax, *(volatile uint32_t *)(HPET + 4));
	run_with_limit(0x0040970000000003, 3);
	CHECK_EQ(skip_vector, 13);
}

SNIPPET(null_32, 32, "xorl %eax, %eax; movl %eax, %fs; movl %fs:(%esi), %eax; ret");

TEST(null_selector_in_compatibility_mode_raises_gp)
{
	set_handler(13, skip_three);
	mode_registers = (struct mode_registers){ .esi = HPET };
	RUN(MODE_COMPATIBILITY, null_32);
	CHECK_EQ(skip_vector, 13);
}

/* LMSW turns protection on, as old programs do it; MOV to CR0 turns it off. */
SNIPPET(lmsw_16, 16,
	"smsw %ax; movw %ax, %bx; orw $1, %ax; lmsw %ax; smsw %cx\n"
	"movl %cr0, %eax; andl $~1, %eax; movl %eax, %cr0; smsw %dx; ret");

TEST(lmsw_turns_protection_on)
{
	mode_registers = (struct mode_registers){ 0 };
	RUN(MODE_REAL, lmsw_16);
	CHECK_EQ(mode_registers.ebx & 1, 0);
	CHECK_EQ(mode_registers.ecx & 1, 1);
	CHECK_EQ(mode_registers.edx & 1, 0);
}
