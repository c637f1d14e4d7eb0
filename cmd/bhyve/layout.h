/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things are in guest-physical space, as bhyve, the module and
 * bhyveload agree on it.
 */
#ifndef BHYVE_LAYOUT_H
#define BHYVE_LAYOUT_H

#define LOCAL_APIC_BASE 0xfee00000u
#define IOAPIC_BASE	0xfec00000u
#define HPET_BASE	0xfed00000u

/*
 * Firmware's tables. Guests look for ACPI's root in 0xe0000-0xfffff, for those of SMBIOS and
 * of the MP specification in 0xf0000-0xfffff; what these point to may be anywhere.
 */
#define MP_TABLE_BASE	 0xe0000u
#define MP_TABLE_LIMIT	 0xe4000u
#define SMBIOS_TABLE	 0xe4000u /* the structures */
#define SMBIOS_TABLE_END 0xf0000u
#define MP_POINTER_BASE	 0xf0000u
#define SMBIOS_BASE	 0xf1000u /* the entry point */
#define SMBIOS_LIMIT	 0xf2000u
#define DSDT_INFO_BASE	 0xf2000u /* what dsdt.asl reads about this machine */
#define ACPI_BASE	 0xf2400u
#define ACPI_LIMIT	 0xff000u /* bhyveload's BIOS stubs follow (cmd/bhyveload/bios.h) */

/* Between low memory's end and the interrupt controllers: PCI devices' memory. */
#define PCI_WINDOW_LIMIT 0xe0000000u

/* The configuration space of bus 0, 4 KiB for each function. */
#define ECAM_BASE   0xe0000000u
#define ECAM_LENGTH 0x100000u

#endif
