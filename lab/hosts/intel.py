# SPDX-License-Identifier: BSD-2-Clause
"""An Intel host: Bochs' Haswell, with VMX, EPT, unrestricted guest and all of
APICv but posted interrupts.

Bochs 2.7 delivers a virtual interrupt to a guest that has interrupts off when the host is
interrupted, and a kernel then waits for a lock that it holds itself: so guests do without
unless a test asks for it (vmx_disable_features=0).
"""

from labkit import bochs

DESCRIPTION = "Intel Haswell under Bochs"
KERNEL_LINE = bochs.KERNEL_LINE
# VMX_OPTION_APICV of module/vmx/features.h.
MODULE_OPTIONS = "vmx_disable_features=0x200"
PACKAGES = bochs.PACKAGES
PORT_CLASS = bochs.PORT_CLASS
Display = bochs.Display


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return bochs.command(machine, "corei7_haswell_4770")
