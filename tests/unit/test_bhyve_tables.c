// SPDX-License-Identifier: BSD-2-Clause
/* The ACPI and SMBIOS tables, found and walked as a guest does it. */
#include "acpi.h"
#include "fake_vmmapi.h"
#include "smbios.h"
#include "unit.h"

#include <stdlib.h>

static uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static bool sums_to_zero(const uint8_t *at, size_t length)
{
	uint8_t sum = 0;

	while (length--)
		sum += *at++;
	return sum == 0;
}

/* What begins with 'signature' at a multiple of 16 in [from, 1M). */
static uint8_t *scan(uint32_t from, const char *signature)
{
	for (uint32_t at = from; at < 0x100000; at += 16)
		if (memcmp(fake.memory + at, signature, strlen(signature)) == 0)
			return fake.memory + at;
	return NULL;
}

static const struct acpi_machine two_cpus = {
	.topology = { .sockets = 2, .cores = 1, .threads = 1 },
	.cpus = 2,
	.com1 = true,
	.lpc_slot = 31,
	.windows = {
		.memory32 = 0xc0000000,
		.memory32_end = 0xe0000000,
		.memory64 = 0x800000000,
		.memory64_end = 0x900000000,
		.io = 0x2000,
		.io_end = 0x10000,
	},
	.hpet_id = 0x8086a201,
};

static uint8_t *build(const struct acpi_machine *machine)
{
	uint8_t *rsdp;

	fake_reset();
	CHECK_EQ(acpi_build(fake_ctx, machine), 0);
	rsdp = scan(0xe0000, "RSD PTR ");
	REQUIRE(rsdp);
	return rsdp;
}

/* The table with that signature, by way of the XSDT. */
static uint8_t *find_table(const char *signature)
{
	uint8_t *xsdt = fake.memory + get(scan(0xe0000, "RSD PTR ") + 24, 8);
	uint32_t length = (uint32_t)get(xsdt + 4, 4);

	for (uint32_t at = 36; at + 8 <= length; at += 8) {
		uint8_t *table = fake.memory + get(xsdt + at, 8);

		if (memcmp(table, signature, 4) == 0)
			return table;
	}
	return NULL;
}

static void check_table(const uint8_t *table, const char *signature)
{
	REQUIRE(table);
	CHECK_MEM(table, signature, 4);
	CHECK(sums_to_zero(table, get(table + 4, 4)));
	CHECK_EQ((table - fake.memory) % 4, 0);
}

TEST(root_pointer)
{
	uint8_t *rsdp = build(&two_cpus);

	CHECK_EQ(rsdp - fake.memory, 0xf2400);
	CHECK(sums_to_zero(rsdp, 20));
	CHECK(sums_to_zero(rsdp, 36));
	CHECK_EQ(rsdp[15], 2);
	check_table(fake.memory + get(rsdp + 16, 4), "RSDT");
	check_table(fake.memory + get(rsdp + 24, 8), "XSDT");
}

TEST(rsdt_and_xsdt_name_the_same_tables)
{
	uint8_t *rsdp = build(&two_cpus);
	uint8_t *rsdt = fake.memory + get(rsdp + 16, 4);
	uint8_t *xsdt = fake.memory + get(rsdp + 24, 8);

	CHECK_EQ(get(rsdt + 4, 4), 36 + 6 * 4);
	CHECK_EQ(get(xsdt + 4, 4), 36 + 6 * 8);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(get(rsdt + 36 + 4 * i, 4), get(xsdt + 36 + 8 * i, 8));
}

TEST(all_tables_check_out)
{
	build(&two_cpus);
	check_table(find_table("FACP"), "FACP");
	check_table(find_table("APIC"), "APIC");
	check_table(find_table("HPET"), "HPET");
	check_table(find_table("MCFG"), "MCFG");
	check_table(find_table("SSDT"), "SSDT");
	check_table(find_table("SPCR"), "SPCR");
	check_table(fake.memory + get(find_table("FACP") + 40, 4), "DSDT");
}

TEST(mcfg_names_bus_0)
{
	uint8_t *mcfg;

	build(&two_cpus);
	mcfg = find_table("MCFG");
	CHECK_EQ(get(mcfg + 4, 4), 60);
	CHECK_EQ(get(mcfg + 44, 8), 0xe0000000);
	CHECK_EQ(get(mcfg + 52, 4), 0);
}

TEST(fadt_registers)
{
	uint8_t *fadt;

	build(&two_cpus);
	fadt = find_table("FACP");
	CHECK_EQ(get(fadt + 4, 4), 276);
	CHECK_EQ(get(fadt + 46, 2), 9);
	CHECK_EQ(get(fadt + 48, 4), 0xb2);
	CHECK_EQ(get(fadt + 56, 4), 0x400);
	CHECK_EQ(get(fadt + 64, 4), 0x404);
	CHECK_EQ(get(fadt + 76, 4), 0x408);
	CHECK_EQ(fadt[88], 4);
	CHECK_EQ(fadt[89], 2);
	CHECK_EQ(fadt[91], 4);
	CHECK_EQ(fadt[108], 0x32);
	/* The reset register: one byte at I/O port 0xcf9, value 6; and its flag. */
	CHECK_EQ(get(fadt + 116, 4), 0x01000801);
	CHECK_EQ(get(fadt + 120, 8), 0xcf9);
	CHECK_EQ(fadt[128], 6);
	CHECK(get(fadt + 112, 4) & 1 << 10);
	/* 64-bit forms agree. */
	CHECK_EQ(get(fadt + 148 + 4, 8), 0x400);
	CHECK_EQ(get(fadt + 172 + 4, 8), 0x404);
	CHECK_EQ(get(fadt + 208 + 4, 8), 0x408);
	CHECK_EQ(get(fadt + 140, 8), get(fadt + 40, 4));
	/* General-purpose events 0 to 15, in bytes. */
	CHECK_EQ(get(fadt + 80, 4), 0x40c);
	CHECK_EQ(fadt[92], 4);
	CHECK_EQ(get(fadt + 220, 4), 0x01002001);
	CHECK_EQ(get(fadt + 224, 8), 0x40c);
}

/* ACPI 6.3: tables 5-33 (FADT 6.3) and 5-43 (MADT 5). */
TEST(fadt_and_madt_are_of_one_revision)
{
	build(&two_cpus);
	CHECK_EQ(find_table("FACP")[8], 6);
	CHECK_EQ(find_table("FACP")[131], 3);
	CHECK_EQ(find_table("APIC")[8], 5);
}

TEST(facs_is_aligned)
{
	uint8_t *facs;

	build(&two_cpus);
	facs = fake.memory + get(find_table("FACP") + 36, 4);
	CHECK_MEM(facs, "FACS", 4);
	CHECK_EQ(get(facs + 4, 4), 64);
	CHECK_EQ((facs - fake.memory) % 64, 0);
}

/* Counts MADT entries of a type; checks that they fill the table. */
static unsigned count_entries(const uint8_t *madt, unsigned type)
{
	uint32_t length = (uint32_t)get(madt + 4, 4);
	unsigned count = 0;
	uint32_t at = 44;

	while (at < length && madt[at + 1] >= 6) {
		count += madt[at] == type;
		at += madt[at + 1];
	}
	CHECK_EQ(at, length);
	return count;
}

TEST(madt_of_two)
{
	uint8_t *madt;

	build(&two_cpus);
	madt = find_table("APIC");
	CHECK_EQ(get(madt + 36, 4), 0xfee00000);
	CHECK_EQ(get(madt + 40, 4), 1);
	CHECK_EQ(count_entries(madt, 0), 2);
	CHECK_EQ(count_entries(madt, 1), 1);
	CHECK_EQ(count_entries(madt, 2), 2);
	CHECK_EQ(count_entries(madt, 4), 1);
	CHECK_EQ(count_entries(madt, 9), 0);
	CHECK_EQ(count_entries(madt, 10), 0);
}

TEST(madt_of_many)
{
	struct acpi_machine machine = two_cpus;
	uint8_t *madt;

	machine.cpus = 255;
	build(&machine);
	CHECK_EQ(count_entries(find_table("APIC"), 0), 255);
	machine.cpus = 300;
	build(&machine);
	madt = find_table("APIC");
	CHECK_EQ(count_entries(madt, 0), 255);
	CHECK_EQ(count_entries(madt, 9), 45);
	CHECK_EQ(count_entries(madt, 10), 1);
	check_table(madt, "APIC");
}

/* Cores of a package have bits of their own in the APIC ID, as the processor's CPUID says. */
TEST(madt_by_topology)
{
	static const uint8_t ids[] = { 0, 1, 2, 4, 5, 6 };
	struct acpi_machine machine = two_cpus;
	uint8_t *madt;

	machine.cpus = 6;
	machine.topology = (struct vm_cpu_topology){ .sockets = 2, .cores = 3, .threads = 1 };
	build(&machine);
	madt = find_table("APIC");
	CHECK_EQ(count_entries(madt, 0), 6);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(madt[44 + 8 * i + 2], i); /* processor */
		CHECK_EQ(madt[44 + 8 * i + 3], ids[i]);
	}
	/* 85 packages of 4 IDs: from the 64th on they do not fit the xAPIC. */
	machine.cpus = 255;
	machine.topology.sockets = 85;
	build(&machine);
	madt = find_table("APIC");
	CHECK_EQ(count_entries(madt, 0), 64 * 3);
	CHECK_EQ(count_entries(madt, 9), 21 * 3);
	CHECK_EQ(count_entries(madt, 10), 1);
}

/* Scope (\\_SB) around it, whose length reaches the table's end. */
static uint8_t *find_devices(unsigned count)
{
	uint8_t *ssdt = find_table("SSDT");
	uint32_t length = (ssdt[37] & 0xf) | (uint32_t)get(ssdt + 38, 3) << 4;

	CHECK_EQ(ssdt[8], 2);
	CHECK_EQ(ssdt[36], 0x10);
	CHECK_EQ(ssdt[37] >> 6, 3);
	CHECK_EQ(37 + length, get(ssdt + 4, 4));
	CHECK_MEM(ssdt + 41, "\\_SB_", 5);
	CHECK_EQ(get(ssdt + 4, 4), 46 + 32 * count);
	return ssdt + 46;
}

TEST(each_processor_is_a_device)
{
	struct acpi_machine machine = two_cpus;
	uint8_t *device;

	machine.cpus = 300;
	build(&machine);
	device = find_devices(300);
	for (unsigned i = 0; i < 300; i++, device += 32) {
		char name[5];

		snprintf(name, sizeof(name), "C%03X", i);
		CHECK_MEM(device, "\x5b\x82\x1e", 3);
		CHECK_MEM(device + 3, name, 4);
		CHECK_MEM(device + 7,
			  "\x08_HID\x0d"
			  "ACPI0007\0\x08_UID\x0c",
			  21);
		CHECK_EQ(get(device + 28, 4), i);
	}
}

TEST(spcr_names_the_first_serial_port)
{
	struct acpi_machine machine = two_cpus;
	uint8_t *spcr;

	build(&machine);
	spcr = find_table("SPCR");
	CHECK_EQ(get(spcr + 4, 4), 80);
	CHECK_EQ(get(spcr + 36, 1), 0);
	CHECK_EQ(get(spcr + 40, 4), 0x01000801);
	CHECK_EQ(get(spcr + 44, 8), 0x3f8);
	CHECK_EQ(get(spcr + 52, 2), 0x0403);
	CHECK_EQ(get(spcr + 54, 4), 4);
	CHECK_EQ(get(spcr + 64, 4), 0xffffffff);
	machine.com1 = false;
	machine.com2 = true;
	build(&machine);
	spcr = find_table("SPCR");
	CHECK_EQ(get(spcr + 44, 8), 0x2f8);
	CHECK_EQ(get(spcr + 54, 4), 3);
	machine.com2 = false;
	build(&machine);
	CHECK(find_table("SPCR") == NULL);
}

TEST(too_many_do_not_fit)
{
	struct acpi_machine machine = two_cpus;

	fake_reset();
	machine.cpus = 65535;
	CHECK(acpi_build(fake_ctx, &machine) != 0);
	/* Nothing was written behind the area. */
	for (unsigned i = 0; i < 4096; i++)
		CHECK_EQ_AT(fake.memory[0x100000 + i], 0, "byte %u", i);
}

TEST(hpet)
{
	uint8_t *table;

	build(&two_cpus);
	table = find_table("HPET");
	CHECK_EQ(get(table + 36, 4), 0x8086a201);
	CHECK_EQ(table[40], 0);
	CHECK_EQ(get(table + 44, 8), 0xfed00000);
}

TEST(what_the_dsdt_asks)
{
	build(&two_cpus);
	CHECK_EQ(get(fake.memory + 0xf2000, 4), 0x1f000001);
	CHECK_EQ(get(fake.memory + 0xf2004, 4), 0xc0000000);
	CHECK_EQ(get(fake.memory + 0xf2008, 4), 0xdfffffff);
}

TEST(intx_pins_are_above_isa)
{
	for (unsigned slot = 0; slot < 32; slot++)
		for (unsigned pin = 0; pin < 4; pin++) {
			CHECK(acpi_intx_pin(slot, pin) >= 16);
			CHECK(acpi_intx_pin(slot, pin) <= 23);
		}
}

/* --- ACPICA's opinion ---------------------------------------------------------------- */

static void write_table(const char *folder, const char *signature, const uint8_t *table)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", folder, signature);
	file = fopen(path, "w");
	REQUIRE(file && table);
	CHECK_EQ(fwrite(table, 1, get(table + 4, 4), file), get(table + 4, 4));
	fclose(file);
}

/* iasl takes them apart, and compiles the result without a warning or a remark. */
TEST(acpica_has_no_complaint)
{
	static const char *const names[] = { "FACP", "APIC", "HPET", "MCFG", "SSDT", "SPCR" };
	char folder[] = "/tmp/tables.XXXXXX";
	char command[512];

	build(&two_cpus);
	REQUIRE(mkdtemp(folder));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		write_table(folder, names[i], find_table(names[i]));
	write_table(folder, "DSDT", fake.memory + get(find_table("FACP") + 40, 4));
	write_table(folder, "FACS", fake.memory + get(find_table("FACP") + 36, 4));
	snprintf(
		command, sizeof(command),
		"cd %s && { iasl -d *.dat && for table in *.dsl; do iasl $table; done; } >said 2>&1 && "
		"[ $(grep -c 'successful. 0 Errors, 0 Warnings, 0 Remarks' said) -eq 8 ] && "
		"! grep -iE 'invalid|unknown|incorrect|mismatch' said",
		folder);
	CHECK_EQ(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	CHECK_EQ(system(command), 0);
}

/* --- SMBIOS ------------------------------------------------------------------------- */

static const struct smbios_machine four_sockets = {
	.uuid = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
		  0xdd, 0xee, 0xff },
	.topology = { .sockets = 4, .cores = 3, .threads = 2 },
};

static const uint8_t *build_smbios(const struct smbios_machine *machine)
{
	uint8_t *entry;

	CHECK_EQ(smbios_build(fake_ctx, machine), 0);
	entry = scan(0xf0000, "_SM_");
	REQUIRE(entry);
	return entry;
}

/* The structure of that type and number among its like; NULL if there are not as many. */
static const uint8_t *find_structure(unsigned type, unsigned number)
{
	const uint8_t *entry = scan(0xf0000, "_SM_");
	const uint8_t *at = fake.memory + get(entry + 24, 4);
	const uint8_t *end = at + get(entry + 22, 2);

	while (at < end) {
		if (at[0] == type && number-- == 0)
			return at;
		for (at += at[1]; at[0] || at[1]; at++)
			;
		at += 2;
	}
	return NULL;
}

/* String 'number' of a structure. */
static const char *string_of(const uint8_t *structure, unsigned number)
{
	const char *text = (const char *)structure + structure[1];

	while (--number)
		text += strlen(text) + 1;
	return text;
}

TEST(smbios_entry_point)
{
	const uint8_t *entry;

	fake_reset();
	entry = build_smbios(&four_sockets);
	CHECK_EQ(entry[5], 31);
	CHECK(sums_to_zero(entry, 31));
	CHECK(sums_to_zero(entry + 16, 15));
}

TEST(smbios_structures)
{
	const uint8_t *entry, *at, *end;
	bool handles[0x10000] = { false };
	unsigned count = 0;

	fake_reset();
	entry = build_smbios(&four_sockets);
	at = fake.memory + get(entry + 24, 4);
	end = at + get(entry + 22, 2);
	for (; at < end; count++) {
		const uint8_t *start = at;

		CHECK(!handles[get(at + 2, 2)]);
		handles[get(at + 2, 2)] = true;
		if (at[0] == 1)
			CHECK_MEM(
				at + 8,
				"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
				16);
		for (at += at[1]; at[0] || at[1]; at++)
			;
		at += 2;
		CHECK(at - start <= (long)get(entry + 8, 2));
	}
	CHECK(at == end);
	CHECK_EQ(count, get(entry + 28, 2));
}

/* DSP0134, 6.2: these a system's firmware must have. */
TEST(smbios_has_what_is_required)
{
	static const uint8_t types[] = { 0, 1, 3, 4, 7, 16, 17, 19, 32, 127 };

	fake_reset();
	build_smbios(&four_sockets);
	for (size_t i = 0; i < sizeof(types); i++)
		CHECK_EQ_AT(find_structure(types[i], 0) != NULL, true, "type %u", types[i]);
}

TEST(smbios_memory)
{
	const uint8_t *array, *device, *mapped;

	fake_reset();
	build_smbios(&four_sockets);
	array = find_structure(16, 0);
	CHECK_EQ(get(array + 7, 4), 4096);
	device = find_structure(17, 0);
	CHECK_EQ(get(device + 4, 2), get(array + 2, 2));
	CHECK_EQ(get(device + 12, 2), 0x8000 | 4096); /* KiB */
	mapped = find_structure(19, 0);
	CHECK_EQ(get(mapped + 4, 4), 0);
	CHECK_EQ(get(mapped + 8, 4), 4095);
	CHECK_EQ(get(mapped + 12, 2), get(array + 2, 2));
	CHECK(find_structure(19, 1) == NULL);
	/* With memory above 4 GiB. */
	fake.high_memory = UINT64_C(5) << 30;
	build_smbios(&four_sockets);
	CHECK_EQ(get(find_structure(16, 0) + 7, 4), (5 << 20) + 4096);
	CHECK_EQ(get(find_structure(17, 0) + 12, 2), 5 * 1024 + 4);
	CHECK_EQ(get(find_structure(19, 1) + 4, 4), 4 << 20);
	CHECK_EQ(get(find_structure(19, 1) + 8, 4), (9 << 20) - 1);
}

/* What 16 and 32 bits do not hold is in the extended fields. */
TEST(smbios_memory_of_terabytes)
{
	const uint64_t tib = UINT64_C(1) << 40;

	fake_reset();
	fake.high_memory = 6 * tib;
	build_smbios(&four_sockets);
	CHECK_EQ(get(find_structure(16, 0) + 7, 4), 0x80000000);
	CHECK_EQ(get(find_structure(16, 0) + 15, 8), 6 * tib + FAKE_MEMORY);
	CHECK_EQ(get(find_structure(17, 0) + 12, 2), 0x7fff);
	CHECK_EQ(get(find_structure(17, 0) + 28, 4), (6 * tib + FAKE_MEMORY) >> 20);
	CHECK_EQ(get(find_structure(19, 1) + 4, 8), UINT64_MAX);
	CHECK_EQ(get(find_structure(19, 1) + 15, 8), UINT64_C(4) << 30);
	CHECK_EQ(get(find_structure(19, 1) + 23, 8), (UINT64_C(4) << 30) + 6 * tib - 1);
}

/* The table's size of a cache, in bytes. */
static uint64_t cache_bytes(const uint8_t *cache)
{
	uint64_t size = get(cache + 9, 2);

	return size & 0x8000 ? (size & 0x7fff) << 16 : size << 10;
}

TEST(smbios_processors)
{
	const uint8_t *processor;

	fake_reset();
	build_smbios(&four_sockets);
	for (unsigned i = 0; i < 4; i++) {
		char name[16];

		processor = find_structure(4, i);
		REQUIRE(processor);
		snprintf(name, sizeof(name), "CPU %u", i);
		CHECK_STR(string_of(processor, processor[4]), name);
		CHECK_EQ(processor[0x18], 0x41);
		CHECK_EQ(processor[0x23], 3);
		CHECK_EQ(processor[0x25], 6);
		CHECK_EQ(get(processor + 0x26, 2) & 0x1c, 0x1c);
	}
	CHECK(find_structure(4, 4) == NULL);
}

/* The handles in a processor's structure are caches of those levels, of sizes there are. */
TEST(smbios_caches)
{
	const uint8_t *processor;

	fake_reset();
	build_smbios(&four_sockets);
	processor = find_structure(4, 3);
	for (unsigned level = 0; level < 3; level++) {
		uint64_t handle = get(processor + 0x1a + 2 * level, 2);
		const uint8_t *cache = NULL;

		for (unsigned i = 0; handle != 0xffff && (!cache || get(cache + 2, 2) != handle);
		     i++) {
			cache = find_structure(7, i);
			REQUIRE(cache);
		}
		if (!cache)
			continue;
		CHECK_EQ(get(cache + 5, 2), 0x180 + level);
		CHECK(cache_bytes(cache) >= 4096);
		CHECK(cache[17] != 3); /* not one of instructions */
	}
}

TEST(smbios_of_many_sockets_stays_in_its_place)
{
	struct smbios_machine machine = four_sockets;

	fake_reset();
	machine.topology.sockets = 2000;
	build_smbios(&machine);
	CHECK(find_structure(4, 99) != NULL);
	CHECK(find_structure(4, 255) == NULL);
	CHECK(find_structure(127, 0) != NULL);
	for (unsigned i = 0xf0000; i < 0xf1000; i++)
		CHECK_EQ_AT(fake.memory[i], 0, "byte %#x", i);
}

TEST(uuids)
{
	uint8_t a[UUID_LENGTH], b[UUID_LENGTH];

	CHECK(!uuid_parse("", a));
	CHECK(!uuid_parse("00112233-4455-6677-8899-aabbccddeef", a));
	CHECK(!uuid_parse("00112233-4455-6677-8899-aabbccddeeff0", a));
	CHECK(!uuid_parse("001122334455-6677-8899-aabbccddeeff--", a));
	CHECK(!uuid_parse("0011223g-4455-6677-8899-aabbccddeeff", a));
	uuid_generate("one", a);
	uuid_generate("one", b);
	CHECK_MEM(a, b, sizeof(a));
	uuid_generate("two", b);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
}
