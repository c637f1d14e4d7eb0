// SPDX-License-Identifier: BSD-2-Clause
/* The MP table; mptable.h. Chapter 4 of the specification has the forms of the entries. */
#include "mptable.h"
#include "acpi.h"
#include "layout.h"
#include "pm.h"
#include "common/checksum.h"

#include <cpuid.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#define PACKED __attribute__((packed))

#define SPECIFICATION 4 /* 1.4 */

struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t paragraphs;
	uint8_t specification;
	uint8_t checksum;
	uint8_t features[5]; /* 0: a table is there; virtual wire mode */
} PACKED;
_Static_assert(sizeof(struct mp_pointer) == 16, "MP floating pointer structure");

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t specification;
	uint8_t checksum;
	char oem[8];
	char product[12];
	uint32_t oem_table;
	uint16_t oem_table_length;
	uint16_t entries;
	uint32_t local_apic;
	uint16_t extended_length;
	uint8_t extended_checksum;
	uint8_t reserved;
} PACKED;
_Static_assert(sizeof(struct mp_header) == 44, "MP configuration table header");

struct mp_processor {
	uint8_t type; /* 0 */
	uint8_t apic_id;
	uint8_t apic_version;
	uint8_t flags;
	uint32_t signature;
	uint32_t features;
	uint8_t reserved[8];
} PACKED;
_Static_assert(sizeof(struct mp_processor) == 20, "MP processor entry");
#define PROCESSOR_ENABLED 1
#define PROCESSOR_BOOT	  2
#define APIC_IDS	  255u /* the last one is the broadcast */
#define APIC_VERSION	  0x14

struct mp_bus {
	uint8_t type; /* 1 */
	uint8_t id;
	char name[6];
} PACKED;
#define BUS_PCI 0
#define BUS_ISA 1

struct mp_ioapic {
	uint8_t type; /* 2 */
	uint8_t id;
	uint8_t version;
	uint8_t enabled;
	uint32_t address;
} PACKED;
#define IOAPIC_ID      0
#define IOAPIC_VERSION 0x20

/* Types 3, to an input of the I/O APIC, and 4, to one of local APICs. */
struct mp_interrupt {
	uint8_t type;
	uint8_t kind;
	uint16_t flags; /* 0: as is usual for the bus */
	uint8_t bus;
	uint8_t source;
	uint8_t apic;
	uint8_t input;
} PACKED;
#define KIND_VECTORED	 0
#define KIND_NMI	 1
#define KIND_8259	 3
#define ACTIVE_HIGH	 0x01
#define LEVEL_TRIGGERED	 0x0c
#define ALL_LOCAL_APICS	 0xff
#define ISA_INTERRUPTS	 16
#define PIT_IRQ		 0
#define PIT_IOAPIC_INPUT 2
#define CASCADE_IRQ	 2
#define PCI_SLOTS	 32
#define PCI_PINS	 4

/* Entries are laid one behind the other behind the header. */
static void append_entry(struct mp_header *table, const void *entry, uint16_t length)
{
	memcpy((uint8_t *)table + table->length, entry, length);
	table->length = (uint16_t)(table->length + length);
	table->entries++;
}

static void append_processors(struct mp_header *table, unsigned cpus,
			      const struct vm_cpu_topology *topology)
{
	struct mp_processor entry = {
		.apic_version = APIC_VERSION,
		.flags = PROCESSOR_ENABLED | PROCESSOR_BOOT,
	};
	uint32_t eax = 0, ebx, ecx, edx = 0;

	__get_cpuid(1, &eax, &ebx, &ecx, &edx);
	entry.signature = eax;
	entry.features = edx;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		uint32_t id = vm_topology_apic_id(topology, cpu);

		if (id >= APIC_IDS)
			return;
		entry.apic_id = (uint8_t)id;
		append_entry(table, &entry, sizeof(entry));
		entry.flags = PROCESSOR_ENABLED;
	}
}

static void append_buses(struct mp_header *table)
{
	static const struct mp_bus buses[] = {
		{ 1, BUS_PCI, { 'P', 'C', 'I', ' ', ' ', ' ' } },
		{ 1, BUS_ISA, { 'I', 'S', 'A', ' ', ' ', ' ' } },
	};
	static const struct mp_ioapic ioapic = { 2, IOAPIC_ID, IOAPIC_VERSION, 1, IOAPIC_BASE };

	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		append_entry(table, &buses[i], sizeof(buses[i]));
	append_entry(table, &ioapic, sizeof(ioapic));
}

/* As the MADT has it: the PIT at input 2, the SCI level triggered. */
static void append_isa_interrupts(struct mp_header *table)
{
	for (uint8_t irq = 0; irq < ISA_INTERRUPTS; irq++) {
		struct mp_interrupt entry = { 3, KIND_VECTORED, 0, BUS_ISA, irq, IOAPIC_ID, irq };

		if (irq == CASCADE_IRQ)
			continue;
		if (irq == PIT_IRQ)
			entry.input = PIT_IOAPIC_INPUT;
		if (irq == SCI_IRQ)
			entry.flags = ACTIVE_HIGH | LEVEL_TRIGGERED;
		append_entry(table, &entry, sizeof(entry));
	}
}

static void append_pci_interrupts(struct mp_header *table)
{
	for (unsigned source = 0; source < PCI_SLOTS * PCI_PINS; source++) {
		unsigned input = acpi_intx_pin(source / PCI_PINS, source % PCI_PINS);
		struct mp_interrupt entry = {
			3, KIND_VECTORED, 0, BUS_PCI, (uint8_t)source, IOAPIC_ID, (uint8_t)input,
		};

		append_entry(table, &entry, sizeof(entry));
	}
}

static void append_local_interrupts(struct mp_header *table)
{
	static const struct mp_interrupt entries[] = {
		{ 4, KIND_8259, 0, BUS_ISA, 0, ALL_LOCAL_APICS, 0 },
		{ 4, KIND_NMI, 0, BUS_ISA, 0, ALL_LOCAL_APICS, 1 },
	};

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		append_entry(table, &entries[i], sizeof(entries[i]));
}

static void write_pointer(void *to)
{
	struct mp_pointer pointer = {
		.signature = { '_', 'M', 'P', '_' },
		.table = MP_TABLE_BASE,
		.paragraphs = 1,
		.specification = SPECIFICATION,
	};

	pointer.checksum = checksum(&pointer, sizeof(pointer));
	memcpy(to, &pointer, sizeof(pointer));
}

static const struct mp_header empty_table = {
	.signature = { 'P', 'C', 'M', 'P' },
	.length = sizeof(struct mp_header),
	.specification = SPECIFICATION,
	.oem = { 'B', 'H', 'Y', 'V', 'E', ' ', ' ', ' ' },
	.product = { 'v', 'm', 'm', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' },
	.local_apic = LOCAL_APIC_BASE,
};

_Static_assert(sizeof(struct mp_header) + APIC_IDS * sizeof(struct mp_processor) +
			       (ISA_INTERRUPTS + PCI_SLOTS * PCI_PINS + 5) *
				       sizeof(struct mp_interrupt) <=
		       MP_TABLE_LIMIT - MP_TABLE_BASE,
	       "room for the MP table");

int mptable_build(struct vmctx *ctx, unsigned cpus, const struct vm_cpu_topology *topology)
{
	void *pointer = vm_map_gpa(ctx, MP_POINTER_BASE, sizeof(struct mp_pointer));
	struct mp_header *table = vm_map_gpa(ctx, MP_TABLE_BASE, MP_TABLE_LIMIT - MP_TABLE_BASE);

	if (!pointer || !table)
		return -EFAULT;
	*table = empty_table;
	append_processors(table, cpus, topology);
	append_buses(table);
	append_isa_interrupts(table);
	append_pci_interrupts(table);
	append_local_interrupts(table);
	table->checksum = checksum(table, table->length);
	write_pointer(pointer);
	return 0;
}
