# SPDX-License-Identifier: BSD-2-Clause
"""The AMD host of amd.py with AMD-Vi. QEMU 7.2 translates DMA of devices on bus 0
only, and reports no faults."""

from hosts import amd

DESCRIPTION = amd.DESCRIPTION + ", with AMD-Vi"
KERNEL_LINE = amd.KERNEL_LINE


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return amd.command(machine, ["-device", "amd-iommu,intremap=on"])
