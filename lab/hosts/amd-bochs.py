# SPDX-License-Identifier: BSD-2-Clause
"""An AMD host: Bochs' Trinity APU, with next-RIP save, flush-by-ASID, LBR
virtualization and the pause filter, which the host under QEMU lacks."""

from labkit import bochs

DESCRIPTION = "AMD Trinity under Bochs"
KERNEL_LINE = bochs.KERNEL_LINE
PACKAGES = bochs.PACKAGES
PORT_CLASS = bochs.PORT_CLASS
Display = bochs.Display


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return bochs.command(machine, "trinity_apu")
