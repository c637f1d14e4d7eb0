/* SPDX-License-Identifier: BSD-2-Clause */
/* AML (ACPI 6.3, chapter 20) for what differs in number from machine to machine. */
#ifndef BHYVE_ACPI_AML_H
#define BHYVE_ACPI_AML_H

#include <stdint.h>

#define AML_LONGEST    40      /* bytes that one call writes at most */
#define AML_PROCESSOR  32      /* bytes of a processor */
#define AML_PROCESSORS 0x1000u /* that have names */

/* Scope (\_SB), with 'length' bytes to follow in it; returns the bytes of its beginning. */
uint32_t aml_system_bus(uint8_t *aml, uint32_t length);

/* The device of the processor with that UID; returns AML_PROCESSOR. */
uint32_t aml_processor(uint8_t *aml, uint32_t uid);

#endif
