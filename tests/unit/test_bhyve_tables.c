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

TEST(smbios_entry_point)
{
	static const uint8_t uuid[UUID_LENGTH] = { 0 };
	uint8_t *entry;

	fake_reset();
	CHECK_EQ(smbios_build(fake_ctx, uuid), 0);
	entry = scan(0xf0000, "_SM_");
	REQUIRE(entry);
	CHECK_EQ(entry[5], 31);
	CHECK(sums_to_zero(entry, 31));
	CHECK(sums_to_zero(entry + 16, 15));
	CHECK_EQ(get(entry + 28, 2), 3);
}

TEST(smbios_structures)
{
	uint8_t uuid[UUID_LENGTH];
	uint8_t *entry, *at, *end;
	unsigned count = 0;

	fake_reset();
	REQUIRE(uuid_parse("00112233-4455-6677-8899-aabbccddeeff", uuid));
	CHECK_EQ(smbios_build(fake_ctx, uuid), 0);
	entry = scan(0xf0000, "_SM_");
	at = fake.memory + get(entry + 24, 4);
	end = at + get(entry + 22, 2);
	for (; at < end; count++) {
		if (at[0] == 1)
			CHECK_MEM(
				at + 8,
				"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
				16);
		for (at += at[1]; at[0] || at[1]; at++)
			;
		at += 2;
	}
	CHECK(at == end);
	CHECK_EQ(count, get(entry + 28, 2));
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
