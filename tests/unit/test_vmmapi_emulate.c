// SPDX-License-Identifier: BSD-2-Clause
/* libvmmapi's instruction emulator: a guest of 4 MiB whose pages change places in pairs. */
#include <errno.h>

#include <machine/vmm_instruction_emul.h>
#include <vmmapi.h>

#include "unit.h"
#include "vmmapi/device.h"

#define MI     (1024ull * 1024)
#define MEMORY (4 * MI)
/* Beyond memory: a linear address and the device register it is translated to. */
#define DEVICE_LINEAR 0x800040ull
#define DEVICE_GPA    DEVICE_TRANSLATE(DEVICE_LINEAR)
#define START	      0x100000ull

struct access {
	uint64_t gpa;
	uint64_t value;
	int size;
	bool write;
};

static struct access accesses[16];
static int access_count;
static int answer_error;
static struct vmctx *ctx;
static struct vcpu *vcpu;
static struct vm_guest_paging paging;

static int read_device(struct vcpu *from, uint64_t gpa, uint64_t *value, int size, void *arg)
{
	CHECK(from == vcpu);
	CHECK(arg == accesses);
	REQUIRE(access_count < 16);
	accesses[access_count++] = (struct access){ gpa, 0, size, false };
	*value = 0x1122334455667788 & (size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1);
	return answer_error;
}

static int write_device(struct vcpu *from, uint64_t gpa, uint64_t value, int size, void *arg)
{
	CHECK(from == vcpu);
	CHECK(arg == accesses);
	REQUIRE(access_count < 16);
	accesses[access_count++] = (struct access){ gpa, value, size, true };
	return answer_error;
}

static void start(enum vm_cpu_mode mode)
{
	static const int data[] = { VM_REG_GUEST_ES, VM_REG_GUEST_SS, VM_REG_GUEST_DS,
				    VM_REG_GUEST_FS, VM_REG_GUEST_GS };

	device_reset();
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE);
	REQUIRE(ctx);
	vcpu = vm_vcpu_open(ctx, 0);
	REQUIRE(vm_setup_memory(ctx, MEMORY, VM_MMAP_ALL) == 0);
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		device.descriptors[data[i]] = (struct seg_desc){ 0, 0xffffffff, 0xc093 };
	device.descriptors[VM_REG_GUEST_CS] =
		(struct seg_desc){ 0, 0xffffffff, mode == CPU_MODE_64BIT ? 0xa09b : 0xc09b };
	device.registers[VM_REG_GUEST_RIP] = START;
	device.registers[VM_REG_GUEST_RFLAGS] = 2;
	paging = (struct vm_guest_paging){
		.cpu_mode = mode,
		.paging_mode = mode == CPU_MODE_64BIT ? PAGING_MODE_64 : PAGING_MODE_32,
	};
	access_count = 0;
	answer_error = 0;
}

static void end(void)
{
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

static int run(const char *bytes, int length)
{
	struct vie vie;

	vie_init(&vie, bytes, length);
	return vmm_emulate_instruction(vcpu, DEVICE_GPA, &vie, &paging, read_device, write_device,
				       accesses);
}

static uint64_t reg(enum vm_reg_name name)
{
	return device.registers[name];
}

/* Guest memory by linear address. */
static uint8_t *linear(uint64_t address)
{
	return vm_map_gpa(ctx, DEVICE_TRANSLATE(address), 1);
}

TEST(reads_a_device_register)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RBX] = DEVICE_LINEAR - 8;
	device.registers[VM_REG_GUEST_RAX] = UINT64_MAX;
	CHECK_EQ(run("\x8b\x43\x08", 3), 0); /* mov eax, [rbx+8] */
	CHECK_EQ(access_count, 1);
	CHECK_EQ(accesses[0].gpa, DEVICE_GPA);
	CHECK_EQ(accesses[0].size, 4);
	CHECK(!accesses[0].write);
	CHECK_EQ(reg(VM_REG_GUEST_RAX), 0x55667788);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START + 3);
	end();
}

TEST(writes_a_device_register)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RBX] = DEVICE_LINEAR;
	device.registers[VM_REG_GUEST_RDX] = 0xaabbccdd11223344;
	CHECK_EQ(run("\x48\x89\x13", 3), 0); /* mov [rbx], rdx */
	CHECK_EQ(accesses[0].gpa, DEVICE_GPA);
	CHECK_EQ(accesses[0].size, 8);
	CHECK_EQ(accesses[0].value, 0xaabbccdd11223344);
	CHECK(accesses[0].write);
	CHECK_EQ(reg(VM_REG_GUEST_RDX), 0xaabbccdd11223344);
	end();
}

TEST(addresses_relative_to_rip_count_from_the_next_instruction)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RIP] = DEVICE_LINEAR - 0x106;
	CHECK_EQ(run("\x8b\x05\x00\x01\x00\x00", 6), 0); /* mov eax, [rip+0x100] */
	CHECK_EQ(accesses[0].gpa, DEVICE_GPA);
	end();
}

TEST(a_program_may_decode_and_set_rip_first)
{
	struct vie vie;

	start(CPU_MODE_64BIT);
	vie_init(&vie, "\x8b\x05\x00\x01\x00\x00\x90\x90", 8);
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), 0);
	CHECK_EQ(vie.num_processed, 6);
	CHECK(vie.decoded);
	device.registers[VM_REG_GUEST_RIP] = DEVICE_LINEAR - 0x100;
	CHECK_EQ(vmm_emulate_instruction(vcpu, DEVICE_GPA, &vie, &paging, read_device, write_device,
					 accesses),
		 0);
	CHECK_EQ(accesses[0].gpa, DEVICE_GPA);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), DEVICE_LINEAR - 0x100);
	vie_restart(&vie);
	CHECK(!vie.decoded);
	end();
}

TEST(decoding_refuses_what_is_no_instruction)
{
	struct vie vie;

	vie_init(&vie, "\x06", 1); /* PUSH ES: undefined in 64-bit mode */
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), -1);
	vie_init(&vie, "\x8d\x03", 2); /* LEA: nothing to emulate */
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), -1);
	vie_init(&vie, "\x8b", 1); /* not complete */
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), -1);
	CHECK(!vie.decoded);
	vie_init(&vie, "", 0);
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), -1);
	/* 15 prefixes. */
	vie_init(&vie, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 15);
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), -1);
	vie.num_valid = 255;
	CHECK_EQ(vmm_decode_instruction(CPU_MODE_64BIT, 0, &vie), -1);
}

TEST(adds_to_a_device_register)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RBX] = DEVICE_LINEAR;
	device.registers[VM_REG_GUEST_RCX] = 1;
	CHECK_EQ(run("\x01\x0b", 2), 0); /* add [rbx], ecx */
	REQUIRE(access_count == 2);
	CHECK(!accesses[0].write);
	CHECK(accesses[1].write);
	CHECK_EQ(accesses[1].value, 0x55667789);
	end();
}

TEST(copies_from_memory_to_a_device)
{
	start(CPU_MODE_64BIT);
	memcpy(linear(0x5000), "\x01\x02\x03\x04", 4);
	device.registers[VM_REG_GUEST_RSI] = 0x5000;
	device.registers[VM_REG_GUEST_RDI] = DEVICE_LINEAR;
	CHECK_EQ(run("\xa5", 1), 0); /* movsd */
	REQUIRE(access_count == 1);
	CHECK_EQ(accesses[0].value, 0x04030201);
	CHECK_EQ(reg(VM_REG_GUEST_RSI), 0x5004);
	CHECK_EQ(reg(VM_REG_GUEST_RDI), DEVICE_LINEAR + 4);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START + 1);
	end();
}

TEST(repeats_until_the_count_is_used_up)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RDI] = DEVICE_LINEAR;
	device.registers[VM_REG_GUEST_RCX] = 3;
	device.registers[VM_REG_GUEST_RAX] = 0x5a;
	for (int i = 0; i < 8 && reg(VM_REG_GUEST_RIP) == START; i++)
		CHECK_EQ(run("\xf3\xaa", 2), 0); /* rep stosb */
	CHECK_EQ(access_count, 3);
	CHECK_EQ(accesses[2].gpa, DEVICE_GPA + 2);
	CHECK_EQ(accesses[2].value, 0x5a);
	CHECK_EQ(reg(VM_REG_GUEST_RCX), 0);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START + 2);
	end();
}

TEST(accesses_across_pages_are_put_together)
{
	uint32_t value = 0x87654321;

	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RBX] = 0x5ffe;
	device.registers[VM_REG_GUEST_RAX] = value;
	CHECK_EQ(run("\x89\x03", 2), 0); /* mov [rbx], eax */
	CHECK_MEM(linear(0x5ffe), &value, 2);
	CHECK_MEM(linear(0x6000), (uint8_t *)&value + 2, 2);
	device.registers[VM_REG_GUEST_RAX] = 0;
	CHECK_EQ(run("\x8b\x03", 2), 0); /* mov eax, [rbx] */
	CHECK_EQ(reg(VM_REG_GUEST_RAX), value);
	end();
}

TEST(nothing_is_written_if_the_second_page_faults)
{
	start(CPU_MODE_64BIT);
	device.fault_at = 0x6000;
	device.registers[VM_REG_GUEST_RBX] = 0x5ffe;
	device.registers[VM_REG_GUEST_RAX] = UINT32_MAX;
	CHECK_EQ(run("\x89\x03", 2), 0);
	CHECK_EQ(device.page_faults, 1);
	CHECK_EQ(device.exceptions, 0); /* the module has raised it already */
	CHECK_EQ(*linear(0x5ffe), 0);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START);
	end();
}

TEST(update_in_memory_is_exchanged)
{
	uint32_t value = 41;

	start(CPU_MODE_64BIT);
	memcpy(linear(0x7010), &value, 4);
	device.registers[VM_REG_GUEST_RBX] = 0x7010;
	CHECK_EQ(run("\xf0\xff\x03", 3), 0); /* lock inc dword [rbx] */
	memcpy(&value, linear(0x7010), 4);
	CHECK_EQ(value, 42);
	/* Not aligned. */
	device.registers[VM_REG_GUEST_RIP] = START;
	device.registers[VM_REG_GUEST_RBX] = 0x7011;
	memcpy(linear(0x7011), &value, 4);
	CHECK_EQ(run("\xff\x03", 2), 0);
	memcpy(&value, linear(0x7011), 4);
	CHECK_EQ(value, 43);
	end();
}

TEST(non_canonical_addresses_are_a_fault)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RBX] = 0x0000900000000000;
	CHECK_EQ(run("\x8b\x03", 2), 0);
	CHECK_EQ(device.exceptions, 1);
	CHECK_EQ(device.exception.vector, 13);
	CHECK_EQ(device.exception.error_code_valid, 1);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START);
	CHECK_EQ(access_count, 0);
	end();
}

TEST(limits_are_honoured_in_32_bit_mode)
{
	start(CPU_MODE_PROTECTED);
	device.descriptors[VM_REG_GUEST_DS].limit = 0x7fff;
	device.registers[VM_REG_GUEST_RBX] = 0x7ffd;
	CHECK_EQ(run("\x8b\x03", 2), 0);
	CHECK_EQ(device.exceptions, 1);
	CHECK_EQ(device.exception.vector, 13);
	end();
}

TEST(segment_bases_count_in_32_bit_mode)
{
	start(CPU_MODE_PROTECTED);
	device.descriptors[VM_REG_GUEST_FS].base = DEVICE_LINEAR - 0x10;
	device.registers[VM_REG_GUEST_RBX] = 0x10;
	CHECK_EQ(run("\x64\x8b\x03", 3), 0); /* mov eax, fs:[ebx] */
	CHECK_EQ(accesses[0].gpa, DEVICE_GPA);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START + 3);
	end();
}

TEST(bytes_are_fetched_if_the_exit_has_none)
{
	start(CPU_MODE_64BIT);
	memcpy(linear(START), "\x8b\x03", 2);
	device.registers[VM_REG_GUEST_RBX] = DEVICE_LINEAR;
	CHECK_EQ(run("", 0), 0);
	CHECK_EQ(access_count, 1);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START + 2);
	/* Where the fetch itself faults, that is the guest's exception. */
	device.registers[VM_REG_GUEST_RIP] = START;
	device.fault_at = START;
	CHECK_EQ(run("", 0), 0);
	CHECK_EQ(device.page_faults, 1);
	CHECK_EQ(access_count, 1);
	end();
}

TEST(what_cannot_be_emulated_changes_nothing)
{
	static const struct {
		const char *bytes;
		int length;
	} bad[] = {
		{ "\x0f\x10\x03", 3 }, /* movups xmm0, [rbx] */
		{ "\x0f\xae\x03", 3 }, /* fxsave [rbx] */
		{ "\xd9\x03", 2 },     /* fld dword [rbx] */
		{ "\x90", 1 },	       /* nop: no memory at all */
		{ "\x8b", 1 },	       /* half an instruction */
		{ "\x6c", 1 },	       /* insb */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(CPU_MODE_64BIT);
		device.registers[VM_REG_GUEST_RBX] = DEVICE_LINEAR;
		CHECK_EQ_AT(run(bad[i].bytes, bad[i].length), EINVAL, "%zu", i);
		CHECK_EQ(reg(VM_REG_GUEST_RIP), START);
		CHECK_EQ(device.exceptions, 0);
		end();
	}
}

TEST(the_programs_errors_are_handed_on)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RBX] = DEVICE_LINEAR;
	device.registers[VM_REG_GUEST_RAX] = 7;
	answer_error = ENODEV;
	CHECK_EQ(run("\x8b\x03", 2), ENODEV);
	CHECK_EQ(reg(VM_REG_GUEST_RAX), 7);
	CHECK_EQ(reg(VM_REG_GUEST_RIP), START);
	end();
}

TEST(registers_are_updated_as_by_an_instruction)
{
	start(CPU_MODE_64BIT);
	device.registers[VM_REG_GUEST_RAX] = 0x1122334455667788;
	CHECK_EQ(vie_update_register(vcpu, VM_REG_GUEST_RAX, 0xabcd, 1), 0);
	CHECK_EQ(reg(VM_REG_GUEST_RAX), 0x11223344556677cd);
	CHECK_EQ(vie_update_register(vcpu, VM_REG_GUEST_RAX, 0xabcdef, 2), 0);
	CHECK_EQ(reg(VM_REG_GUEST_RAX), 0x112233445566cdef);
	CHECK_EQ(vie_update_register(vcpu, VM_REG_GUEST_RAX, 0xffffffff12345678, 4), 0);
	CHECK_EQ(reg(VM_REG_GUEST_RAX), 0x12345678);
	CHECK_EQ(vie_update_register(vcpu, VM_REG_GUEST_RAX, UINT64_MAX, 8), 0);
	CHECK_EQ(reg(VM_REG_GUEST_RAX), UINT64_MAX);
	CHECK_EQ(vie_update_register(vcpu, VM_REG_GUEST_RAX, 0, 3), EINVAL);
	end();
}
