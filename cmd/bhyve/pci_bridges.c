// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two bridges of a PC: from the processors to PCI bus 0, and from there to
 * the ISA bus. Neither has registers that do anything; a guest looks at
 * their identity to find the machine plausible.
 */
#include "pci.h"
#include "diag.h"
#include "pm.h"

#define VENDOR_INTEL 0x8086
#define VENDOR_AMD   0x1022

/* bhyve's own numbers for its host bridge, so that guests see the same device. */
#define VENDOR_BHYVE	  0x1275
#define HOSTBRIDGE_BHYVE  0x1275
#define HOSTBRIDGE_AMD	  0x7432
#define LPC_INTEL_82371SB 0x7000

/* The chipset that firmware finds: 440FX, and the power management of PIIX4. */
#define HOSTBRIDGE_440FX 0x1237
#define PM_INTEL_82371AB 0x7113
#define PIIX4_SLOT	 1
#define PIIX4_PM_NUMBER	 3
#define PIIX4_PMBA	 0x40
#define PIIX4_PMBA_IO	 0x1u
#define PIIX4_PMREGMISC	 0x80
#define PIIX4_PMIOSE	 0x1u
#define SUBCLASS_OTHER	 0x80

#define CLASS_BRIDGE  0x06
#define SUBCLASS_HOST 0x00
#define SUBCLASS_ISA  0x01

/* I/O space, memory space and bus mastering. */
#define COMMAND_ENABLED	 0x0007
#define COMMAND_WRITABLE 0x0007

/* A bridge has no settings, is always enabled and has no BARs. */
static int init_bridge(struct pci_function *function, uint16_t vendor, uint16_t device,
		       uint8_t subclass)
{
	pci_set16(function, PCI_VENDOR_ID, vendor);
	pci_set16(function, PCI_DEVICE_ID, device);
	pci_set16(function, PCI_COMMAND, COMMAND_ENABLED);
	function->config[PCI_SUBCLASS] = subclass;
	function->config[PCI_CLASS] = CLASS_BRIDGE;
	function->writable[PCI_COMMAND] = COMMAND_WRITABLE;
	return 0;
}

static int init_hostbridge(struct pci_function *function, const char *options)
{
	(void)options;
	return init_bridge(function, VENDOR_BHYVE, HOSTBRIDGE_BHYVE, SUBCLASS_HOST);
}

static int init_amd_hostbridge(struct pci_function *function, const char *options)
{
	(void)options;
	return init_bridge(function, VENDOR_AMD, HOSTBRIDGE_AMD, SUBCLASS_HOST);
}

static int init_lpc(struct pci_function *function, const char *options)
{
	(void)options;
	return init_bridge(function, VENDOR_INTEL, LPC_INTEL_82371SB, SUBCLASS_ISA);
}

const struct pci_driver pci_hostbridge = {
	.name = "hostbridge",
	.summary = "a host bridge; most guests want one in slot 0",
	.init = init_hostbridge,
};

const struct pci_driver pci_amd_hostbridge = {
	.name = "amd_hostbridge",
	.summary = "the same, with AMD's vendor number",
	.init = init_amd_hostbridge,
};

const struct pci_driver pci_lpc = {
	.name = "lpc",
	.summary = "the bridge to the ISA bus, where the devices of -l are",
	.is_single = true,
	.init = init_lpc,
};

/* Its registers are where pm.c has them; nobody moves them. */
static int init_piix4_pm(struct pci_function *function, const char *options)
{
	int error = init_bridge(function, VENDOR_INTEL, PM_INTEL_82371AB, SUBCLASS_OTHER);

	(void)options;
	pci_set32(function, PIIX4_PMBA, PM1_EVENT_PORT | PIIX4_PMBA_IO);
	function->config[PIIX4_PMREGMISC] = PIIX4_PMIOSE;
	return error;
}

/* Function 3 of a device without function 0: operating systems do not look for it. */
const struct pci_driver pci_piix4_pm = {
	.name = "piix4-pm",
	.summary = "power management that firmware looks for (-l bootrom adds it)",
	.init = init_piix4_pm,
};

void pci_add_firmware_functions(void)
{
	struct pci_function *bridge = pci_find(0, 0);

	if (!bridge)
		fatal("-l bootrom: firmware wants a host bridge (-s 0,hostbridge)");
	pci_set16(bridge, PCI_VENDOR_ID, VENDOR_INTEL);
	pci_set16(bridge, PCI_DEVICE_ID, HOSTBRIDGE_440FX);
	if (!pci_find(PIIX4_SLOT, PIIX4_PM_NUMBER))
		pci_add("1:3,piix4-pm");
	pci_windows_for_firmware();
}
