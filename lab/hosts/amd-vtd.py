# SPDX-License-Identifier: BSD-2-Clause
"""The AMD host of amd.py with VT-d in front of its devices: an odd machine, and the
IOMMU that QEMU emulates best. DMA behind bridges works, and faults are reported."""

from hosts import amd

DESCRIPTION = amd.DESCRIPTION + ", with VT-d"
KERNEL_LINE = amd.KERNEL_LINE + " intel_iommu=on"


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return amd.command(machine, ["-device", "intel-iommu,intremap=on"])
