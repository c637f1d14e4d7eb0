/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How ACPI's tables lie in memory (ACPI 6.3, chapter 5; for SPCR Microsoft's specification of
 * 2015), and what goes into their fields.
 */
#ifndef BHYVE_ACPI_TABLES_H
#define BHYVE_ACPI_TABLES_H

#include <stddef.h>
#include <stdint.h>

#define PACKED __attribute__((packed))

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI table header");

/* A generic address. */
struct gas {
	uint8_t space;
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} PACKED;
_Static_assert(sizeof(struct gas) == 12, "ACPI generic address");

#define SPACE_MEMORY 0
#define SPACE_IO     1
#define ACCESS_BYTE  1
#define ACCESS_WORD  2
#define ACCESS_DWORD 3

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;
_Static_assert(sizeof(struct rsdp) == 36, "ACPI RSDP");
#define RSDP_V1_LENGTH 20

struct fadt {
	struct acpi_header header;
	uint32_t firmware_control;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t preferred_profile;
	uint16_t sci_interrupt;
	uint32_t smi_command;
	uint8_t acpi_enable;
	uint8_t acpi_disable;
	uint8_t s4bios_request;
	uint8_t pstate_control;
	uint32_t pm1a_event;
	uint32_t pm1b_event;
	uint32_t pm1a_control;
	uint32_t pm1b_control;
	uint32_t pm2_control;
	uint32_t pm_timer;
	uint32_t gpe0;
	uint32_t gpe1;
	uint8_t pm1_event_length;
	uint8_t pm1_control_length;
	uint8_t pm2_control_length;
	uint8_t pm_timer_length;
	uint8_t gpe0_length;
	uint8_t gpe1_length;
	uint8_t gpe1_base;
	uint8_t cstate_control;
	uint16_t c2_latency;
	uint16_t c3_latency;
	uint16_t flush_size;
	uint16_t flush_stride;
	uint8_t duty_offset;
	uint8_t duty_width;
	uint8_t day_alarm;
	uint8_t month_alarm;
	uint8_t century;
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_revision;
	uint64_t x_firmware_control;
	uint64_t x_dsdt;
	struct gas x_pm1a_event;
	struct gas x_pm1b_event;
	struct gas x_pm1a_control;
	struct gas x_pm1b_control;
	struct gas x_pm2_control;
	struct gas x_pm_timer;
	struct gas x_gpe0;
	struct gas x_gpe1;
	struct gas sleep_control;
	struct gas sleep_status;
	char hypervisor[8];
} PACKED;
_Static_assert(offsetof(struct fadt, pm1a_event) == 56, "FADT PM1a_EVT_BLK");
_Static_assert(offsetof(struct fadt, century) == 108, "FADT CENTURY");
_Static_assert(offsetof(struct fadt, flags) == 112, "FADT Flags");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "FADT X_DSDT");
_Static_assert(offsetof(struct fadt, x_pm_timer) == 208, "FADT X_PM_TMR_BLK");
_Static_assert(sizeof(struct fadt) == 276, "FADT");

#define FADT_REVISION	    6
#define FADT_MINOR_REVISION 3

/* Boot architecture flags: there are ISA devices, but neither 8042 devices nor VGA nor ASPM. */
#define BOOT_LEGACY_DEVICES 0x01
#define BOOT_NO_VGA	    0x04
#define BOOT_NO_ASPM	    0x10

#define FLAG_WBINVD	  0x0001
#define FLAG_C1_SUPPORTED 0x0004
#define FLAG_SLEEP_BUTTON 0x0020 /* no fixed one */
#define FLAG_RTC_WAKE	  0x0040 /* not in the fixed registers */
#define FLAG_TIMER_32BIT  0x0100
#define FLAG_RESET_REG	  0x0400

/* Latencies that say "there is no such state". */
#define NO_C2_LATENCY 101
#define NO_C3_LATENCY 1001

#define RTC_CENTURY_REGISTER 0x32

struct facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved0[3];
	uint32_t ospm_flags;
	uint8_t reserved1[24];
} PACKED;
_Static_assert(sizeof(struct facs) == 64, "FACS");
#define FACS_ALIGNMENT 64
#define FACS_VERSION   2

struct madt {
	struct acpi_header header;
	uint32_t local_apic;
	uint32_t flags;
} PACKED;
#define MADT_REVISION 5 /* as FADT 6.3 */
#define MADT_HAS_8259 1

struct madt_local_apic {
	uint8_t type; /* 0 */
	uint8_t length;
	uint8_t processor;
	uint8_t apic_id;
	uint32_t flags;
} PACKED;

struct madt_ioapic {
	uint8_t type; /* 1 */
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t first_interrupt;
} PACKED;

struct madt_override {
	uint8_t type; /* 2 */
	uint8_t length;
	uint8_t bus;
	uint8_t source;
	uint32_t interrupt;
	uint16_t flags;
} PACKED;
#define OVERRIDE_ACTIVE_HIGH 0x01
#define OVERRIDE_LEVEL	     0x0c
#define SCI_FLAGS	     (OVERRIDE_ACTIVE_HIGH | OVERRIDE_LEVEL)

struct madt_local_nmi {
	uint8_t type; /* 4 */
	uint8_t length;
	uint8_t processor;
	uint16_t flags;
	uint8_t lint;
} PACKED;

struct madt_x2apic {
	uint8_t type; /* 9 */
	uint8_t length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t processor;
} PACKED;

struct madt_x2apic_nmi {
	uint8_t type; /* 10 */
	uint8_t length;
	uint16_t flags;
	uint32_t processor;
	uint8_t lint;
	uint8_t reserved[3];
} PACKED;

#define MADT_ENABLED   1
#define XAPIC_IDS      255u
#define ALL_PROCESSORS 0xff
#define ALL_X2APIC     0xffffffffu
#define NMI_LINT       1
#define PIT_IRQ	       0
#define PIT_IOAPIC_PIN 2

struct hpet_table {
	struct acpi_header header;
	uint32_t id;
	struct gas address;
	uint8_t number;
	uint16_t minimum_tick;
	uint8_t page_protection;
} PACKED;
_Static_assert(sizeof(struct hpet_table) == 56, "HPET table");

struct mcfg {
	struct acpi_header header;
	uint8_t reserved0[8];
	uint64_t address;
	uint16_t segment;
	uint8_t first_bus;
	uint8_t last_bus;
	uint8_t reserved1[4];
} PACKED;
_Static_assert(sizeof(struct mcfg) == 60, "MCFG with one entry");

/* Ticks below which a periodic comparator might be missed. */
#define HPET_MINIMUM_TICK 128

/* The serial port that firmware would talk to. */
struct spcr {
	struct acpi_header header;
	uint8_t interface;
	uint8_t reserved0[3];
	struct gas address;
	uint8_t interrupt_type;
	uint8_t irq;  /* of the 8259 pair */
	uint32_t gsi; /* input of the I/O APIC */
	uint8_t baud_rate;
	uint8_t parity;
	uint8_t stop_bits;
	uint8_t flow_control;
	uint8_t terminal;
	uint8_t language;
	uint16_t pci_device;
	uint16_t pci_vendor;
	uint8_t pci_bus;
	uint8_t pci_slot;
	uint8_t pci_function;
	uint32_t pci_flags;
	uint8_t pci_segment;
	uint32_t reserved1;
} PACKED;
_Static_assert(offsetof(struct spcr, gsi) == 54, "SPCR Global System Interrupt");
_Static_assert(offsetof(struct spcr, pci_device) == 64, "SPCR PCI Device ID");
_Static_assert(sizeof(struct spcr) == 80, "SPCR");

#define SPCR_REVISION	      2
#define SPCR_16550	      0
#define SPCR_INTERRUPT_8259   0x01
#define SPCR_INTERRUPT_IOAPIC 0x02
#define SPCR_115200	      7
#define SPCR_ONE_STOP_BIT     1
#define SPCR_ANSI	      3
#define SPCR_NO_PCI	      0xffff

#endif
