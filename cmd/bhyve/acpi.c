// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ACPI tables of revision 6.3, and the compiled DSDT.
 */
#include "acpi.h"
#include "acpi_aml.h"
#include "acpi_loader.h"
#include "acpi_tables.h"
#include "layout.h"
#include "pm.h"
#include "reset.h"
#include "serial.h"
#include "common/checksum.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* What iasl makes of dsdt.asl. */
extern unsigned char dsdt_aml_code[];
#include "dsdt.hex"

/* INFO in dsdt.asl. */
struct dsdt_info {
	uint8_t com1;
	uint8_t com2;
	uint8_t fwcfg;
	uint8_t lpc_slot;
	uint32_t window_base;
	uint32_t window_last;
	uint32_t io_base;
	uint64_t window64_base;
	uint64_t window64_length; /* 0: there is none */
} PACKED;
_Static_assert(sizeof(struct dsdt_info) == 0x20, "INFO in dsdt.asl");

/* Where the bridge would be, for the paths of the devices behind it. */
#define DEFAULT_LPC_SLOT 31

/* Tables are laid one behind the other into this. */
struct writer {
	uint8_t *memory; /* ACPI_BASE up to ACPI_LIMIT */
	uint32_t used;
	int error; /* the first failure; later calls do nothing */
	struct acpi_loader loader;
};

#define WRITER_SIZE (ACPI_LIMIT - ACPI_BASE)
#define MOST_TABLES 6

/*
 * Append bytes at a multiple of 'alignment' (a power of two); returns their
 * guest-physical address. 'data' may be NULL for zeroes.
 */
static uint32_t append_bytes(struct writer *writer, const void *data, uint32_t length,
			     uint32_t alignment)
{
	uint32_t at = (writer->used + alignment - 1) & ~(alignment - 1);

	if (at > WRITER_SIZE || length > WRITER_SIZE - at)
		writer->error = -ENOSPC;
	if (writer->error)
		return 0;
	if (data)
		memcpy(writer->memory + at, data, length);
	else
		memset(writer->memory + at, 0, length);
	writer->used = at + length;
	return ACPI_BASE + at;
}

/* Note for firmware that a field at this address is one. */
static void note_pointer(struct writer *writer, uint32_t address, uint8_t bytes)
{
	if (!writer->error)
		writer->error = acpi_loader_pointer(&writer->loader, address - ACPI_BASE, bytes);
}

static void note_table(struct writer *writer, uint32_t address)
{
	if (!writer->error)
		writer->error = acpi_loader_table(&writer->loader, address - ACPI_BASE);
}

static struct acpi_header make_header(const char *signature, uint32_t length, uint8_t revision)
{
	struct acpi_header header = {
		.length = length,
		.revision = revision,
		.oem_id = "BHYVE ",
		.oem_revision = 1,
		.creator_id = { 'V', 'M', 'M', ' ' },
		.creator_revision = 1,
	};

	memcpy(header.signature, signature, 4);
	memcpy(header.oem_table_id, "BV", 2);
	memcpy(header.oem_table_id + 2, signature, 4);
	memcpy(header.oem_table_id + 6, "  ", 2);
	return header;
}

/* Set the length and checksum of the table at 'address', which ends at what is used. */
static void finish_table(struct writer *writer, uint32_t address)
{
	struct acpi_header *header;

	if (writer->error)
		return;
	header = (struct acpi_header *)(writer->memory + (address - ACPI_BASE));
	header->length = ACPI_BASE + writer->used - address;
	header->checksum = 0;
	header->checksum = checksum(header, header->length);
}

static struct gas io_gas(uint16_t port, uint8_t bytes, uint8_t access)
{
	return (struct gas){ SPACE_IO, (uint8_t)(8 * bytes), 0, access, port };
}

static uint32_t write_facs(struct writer *writer)
{
	struct facs facs = { .signature = { 'F', 'A', 'C', 'S' },
			     .length = sizeof(facs),
			     .version = FACS_VERSION };

	return append_bytes(writer, &facs, sizeof(facs), FACS_ALIGNMENT);
}

/* What both the old fields and their 64-bit forms say must agree. */
static void describe_registers(struct fadt *fadt)
{
	fadt->pm1a_event = PM1_EVENT_PORT;
	fadt->pm1a_control = PM1_CONTROL_PORT;
	fadt->pm_timer = PM_TIMER_PORT;
	fadt->gpe0 = GPE0_PORT;
	fadt->pm1_event_length = PM1_EVENT_LENGTH;
	fadt->pm1_control_length = PM1_CONTROL_LENGTH;
	fadt->pm_timer_length = PM_TIMER_LENGTH;
	fadt->gpe0_length = GPE0_LENGTH;
	fadt->x_pm1a_event = io_gas(PM1_EVENT_PORT, PM1_EVENT_LENGTH, ACCESS_WORD);
	fadt->x_pm1a_control = io_gas(PM1_CONTROL_PORT, PM1_CONTROL_LENGTH, ACCESS_WORD);
	fadt->x_pm_timer = io_gas(PM_TIMER_PORT, PM_TIMER_LENGTH, ACCESS_DWORD);
	fadt->x_gpe0 = io_gas(GPE0_PORT, GPE0_LENGTH, ACCESS_BYTE);
	fadt->reset_register = io_gas(RESET_CONTROL_PORT, 1, ACCESS_BYTE);
	fadt->reset_value = RESET_CONTROL_RESET;
}

static uint32_t write_fadt(struct writer *writer, uint32_t facs, uint32_t dsdt)
{
	struct fadt fadt = {
		.header = make_header("FACP", sizeof(fadt), FADT_REVISION),
		.firmware_control = facs,
		.dsdt = dsdt,
		.x_dsdt = dsdt,
		.sci_interrupt = SCI_IRQ,
		.smi_command = SMI_COMMAND_PORT,
		.acpi_enable = SMI_ACPI_ENABLE,
		.acpi_disable = SMI_ACPI_DISABLE,
		.c2_latency = NO_C2_LATENCY,
		.c3_latency = NO_C3_LATENCY,
		.century = RTC_CENTURY_REGISTER,
		.boot_flags = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM,
		.flags = FLAG_WBINVD | FLAG_C1_SUPPORTED | FLAG_SLEEP_BUTTON | FLAG_RTC_WAKE |
			 FLAG_TIMER_32BIT | FLAG_RESET_REG,
		.minor_revision = FADT_MINOR_REVISION,
	};
	uint32_t address;

	describe_registers(&fadt);
	memcpy(fadt.hypervisor, "bhyve", 5);
	address = append_bytes(writer, &fadt, sizeof(fadt), 16);
	finish_table(writer, address);
	note_table(writer, address);
	note_pointer(writer, address + offsetof(struct fadt, firmware_control), 4);
	note_pointer(writer, address + offsetof(struct fadt, dsdt), 4);
	note_pointer(writer, address + offsetof(struct fadt, x_dsdt), 8);
	return address;
}

static void write_processor(struct writer *writer, uint32_t uid, uint32_t apic_id)
{
	struct madt_local_apic xapic = { 0, sizeof(xapic), (uint8_t)uid, (uint8_t)apic_id,
					 MADT_ENABLED };
	struct madt_x2apic x2apic = { 9, sizeof(x2apic), 0, apic_id, MADT_ENABLED, uid };

	if (apic_id < XAPIC_IDS)
		append_bytes(writer, &xapic, sizeof(xapic), 1);
	else
		append_bytes(writer, &x2apic, sizeof(x2apic), 1);
}

static uint32_t apic_id(const struct acpi_machine *machine, unsigned cpu)
{
	return vm_topology_apic_id(&machine->topology, cpu);
}

/* IDs rise with the number, so that those that fit the xAPIC come first. */
static void write_processors(struct writer *writer, const struct acpi_machine *machine)
{
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		write_processor(writer, cpu, apic_id(machine, cpu));
}

/* The PIT is wired to input 2, and the SCI is not edge triggered as ISA's are. */
static void write_interrupts(struct writer *writer, const struct acpi_machine *machine)
{
	struct madt_ioapic ioapic = { 1, sizeof(ioapic), 0, 0, IOAPIC_BASE, 0 };
	struct madt_override pit = { 2, sizeof(pit), 0, PIT_IRQ, PIT_IOAPIC_PIN, 0 };
	struct madt_override sci = { 2, sizeof(sci), 0, SCI_IRQ, SCI_IRQ, SCI_FLAGS };
	struct madt_local_nmi nmi = { 4, sizeof(nmi), ALL_PROCESSORS, 0, NMI_LINT };
	struct madt_x2apic_nmi nmi2 = { 10, sizeof(nmi2), 0, ALL_X2APIC, NMI_LINT, { 0 } };

	append_bytes(writer, &ioapic, sizeof(ioapic), 1);
	append_bytes(writer, &pit, sizeof(pit), 1);
	append_bytes(writer, &sci, sizeof(sci), 1);
	append_bytes(writer, &nmi, sizeof(nmi), 1);
	if (apic_id(machine, machine->cpus - 1) >= XAPIC_IDS)
		append_bytes(writer, &nmi2, sizeof(nmi2), 1);
}

static uint32_t write_madt(struct writer *writer, const struct acpi_machine *machine)
{
	struct madt madt = {
		.header = make_header("APIC", sizeof(madt), MADT_REVISION),
		.local_apic = LOCAL_APIC_BASE,
		.flags = MADT_HAS_8259,
	};
	uint32_t address = append_bytes(writer, &madt, sizeof(madt), 16);

	write_processors(writer, machine);
	write_interrupts(writer, machine);
	finish_table(writer, address);
	return address;
}

static uint32_t write_hpet(struct writer *writer, uint32_t id)
{
	struct hpet_table hpet = {
		.header = make_header("HPET", sizeof(hpet), 1),
		.id = id,
		.address = { SPACE_MEMORY, 64, 0, 0, HPET_BASE },
		.minimum_tick = HPET_MINIMUM_TICK,
	};
	uint32_t address = append_bytes(writer, &hpet, sizeof(hpet), 16);

	finish_table(writer, address);
	return address;
}

static uint32_t write_mcfg(struct writer *writer)
{
	struct mcfg mcfg = {
		.header = make_header("MCFG", sizeof(mcfg), 1),
		.address = ECAM_BASE,
	};
	uint32_t address = append_bytes(writer, &mcfg, sizeof(mcfg), 16);

	finish_table(writer, address);
	return address;
}

/* A device for each processor of the MADT, by its UID. */
static uint32_t write_ssdt(struct writer *writer, unsigned cpus)
{
	struct acpi_header header = make_header("SSDT", sizeof(header), 2);
	uint32_t address = append_bytes(writer, &header, sizeof(header), 16);
	uint8_t aml[AML_LONGEST];

	append_bytes(writer, aml, aml_system_bus(aml, cpus * AML_PROCESSOR), 1);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		append_bytes(writer, aml, aml_processor(aml, cpu), 1);
	finish_table(writer, address);
	return address;
}

static uint32_t write_spcr(struct writer *writer, unsigned port)
{
	struct spcr spcr = {
		.header = make_header("SPCR", sizeof(spcr), SPCR_REVISION),
		.interface = SPCR_16550,
		.address = io_gas(serial_base(port), 1, ACCESS_BYTE),
		.interrupt_type = SPCR_INTERRUPT_8259 | SPCR_INTERRUPT_IOAPIC,
		.irq = (uint8_t)serial_irq(port),
		.gsi = serial_irq(port),
		.baud_rate = SPCR_115200,
		.stop_bits = SPCR_ONE_STOP_BIT,
		.terminal = SPCR_ANSI,
		.pci_device = SPCR_NO_PCI,
		.pci_vendor = SPCR_NO_PCI,
	};
	uint32_t address = append_bytes(writer, &spcr, sizeof(spcr), 16);

	finish_table(writer, address);
	return address;
}

/* RSDT and XSDT name the same tables, in 32 and 64 bits. */
static uint32_t write_roots(struct writer *writer, const uint32_t *tables, unsigned count,
			    uint32_t *xsdt)
{
	struct acpi_header header = make_header("RSDT", sizeof(header), 1);
	uint32_t rsdt = append_bytes(writer, &header, sizeof(header), 16);

	append_bytes(writer, tables, count * sizeof(tables[0]), 1);
	finish_table(writer, rsdt);
	note_table(writer, rsdt);

	header = make_header("XSDT", sizeof(header), 1);
	*xsdt = append_bytes(writer, &header, sizeof(header), 16);
	for (unsigned i = 0; i < count; i++) {
		uint64_t address = tables[i];

		append_bytes(writer, &address, sizeof(address), 1);
	}
	finish_table(writer, *xsdt);
	note_table(writer, *xsdt);
	for (unsigned i = 0; i < count; i++) {
		note_pointer(writer, rsdt + (uint32_t)sizeof(header) + 4 * i, 4);
		note_pointer(writer, *xsdt + (uint32_t)sizeof(header) + 8 * i, 8);
	}
	return rsdt;
}

static void write_rsdp(struct writer *writer, uint32_t rsdt, uint32_t xsdt)
{
	struct rsdp rsdp = {
		.oem_id = "BHYVE ",
		.revision = 2,
		.rsdt = rsdt,
		.length = sizeof(rsdp),
		.xsdt = xsdt,
	};

	memcpy(rsdp.signature, "RSD PTR ", 8);
	rsdp.checksum = checksum(&rsdp, RSDP_V1_LENGTH);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	memcpy(writer->memory, &rsdp, sizeof(rsdp));
}

static int write_dsdt_info(struct vmctx *ctx, const struct acpi_machine *machine)
{
	struct dsdt_info info = {
		.com1 = machine->com1,
		.com2 = machine->com2,
		.fwcfg = machine->fwcfg,
		.lpc_slot = (uint8_t)(machine->lpc_slot < 0 ? DEFAULT_LPC_SLOT : machine->lpc_slot),
		.window_base = (uint32_t)machine->windows.memory32,
		.window_last = (uint32_t)(machine->windows.memory32_end - 1),
		.io_base = machine->windows.io,
		.window64_base = machine->windows.memory64,
		.window64_length = machine->windows.memory64_end - machine->windows.memory64,
	};
	void *memory = vm_map_gpa(ctx, DSDT_INFO_BASE, sizeof(info));

	if (!memory)
		return -EFAULT;
	memcpy(memory, &info, sizeof(info));
	return 0;
}

/* All that the root tables name; returns how many. */
static unsigned write_tables(struct writer *writer, const struct acpi_machine *machine,
			     uint32_t tables[MOST_TABLES])
{
	uint32_t facs = write_facs(writer);
	uint32_t dsdt = append_bytes(writer, dsdt_aml_code, sizeof(dsdt_aml_code), 16);
	unsigned count = 0;

	tables[count++] = write_fadt(writer, facs, dsdt);
	tables[count++] = write_madt(writer, machine);
	tables[count++] = write_hpet(writer, machine->hpet_id);
	tables[count++] = write_mcfg(writer);
	tables[count++] = write_ssdt(writer, machine->cpus);
	if (machine->com1 || machine->com2)
		tables[count++] = write_spcr(writer, machine->com1 ? 0 : 1);
	return count;
}

int acpi_build(struct vmctx *ctx, const struct acpi_machine *machine)
{
	struct writer writer = { .memory = vm_map_gpa(ctx, ACPI_BASE, WRITER_SIZE) };
	uint32_t tables[MOST_TABLES];
	uint32_t rsdt, xsdt;
	unsigned count;

	if (!writer.memory)
		return -EFAULT;
	if (machine->cpus > AML_PROCESSORS)
		return -ENOSPC;
	append_bytes(&writer, NULL, sizeof(struct rsdp), 16);
	count = write_tables(&writer, machine, tables);
	rsdt = write_roots(&writer, tables, count, &xsdt);
	if (writer.error)
		return writer.error;
	write_rsdp(&writer, rsdt, xsdt);
	writer.loader.memory = writer.memory;
	writer.loader.base = ACPI_BASE;
	writer.loader.length = writer.used;
	if (machine->firmware && acpi_loader_publish(&writer.loader))
		return -ENOMEM;
	return write_dsdt_info(ctx, machine);
}
