# SPDX-License-Identifier: BSD-2-Clause
"""An Intel host: Bochs' Haswell, with VMX, EPT, unrestricted guest and all of
APICv but posted interrupts.

Its kernel idles by HLT: Bochs 2.7 does not always notice the write that MWAIT waits for,
and the processor sleeps until the next interrupt. With MWAIT a boot took twice the time
and a guest's sleep of 10 s up to 12.3, whatever the module used of the processor.
"""

from labkit import bochs

DESCRIPTION = "Intel Haswell under Bochs"
KERNEL_LINE = bochs.KERNEL_LINE + " idle=halt"
PACKAGES = bochs.PACKAGES
PORT_CLASS = bochs.PORT_CLASS
Display = bochs.Display


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return bochs.command(machine, "corei7_haswell_4770")
