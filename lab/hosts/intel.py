# SPDX-License-Identifier: BSD-2-Clause
"""An Intel host: Bochs' Haswell, with VMX, EPT, unrestricted guest and all of
APICv but posted interrupts."""

from labkit import bochs

DESCRIPTION = "Intel Haswell under Bochs"
KERNEL_LINE = bochs.KERNEL_LINE
PACKAGES = bochs.PACKAGES
PORT_CLASS = bochs.PORT_CLASS
Display = bochs.Display


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return bochs.command(machine, "corei7_haswell_4770")
