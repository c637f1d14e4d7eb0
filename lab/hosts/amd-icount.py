# SPDX-License-Identifier: BSD-2-Clause
"""The AMD host under QEMU for measurements: its TSC counts instructions, those of all
processors together, and two boots agree within 0.1%.

Counting wants one thread for all processors; the race of QEMU 7.2 that hosts/amd.py's
spare processor avoids cannot happen then.
"""

from hosts import amd

DESCRIPTION = "AMD EPYC under QEMU, counting instructions"
KERNEL_LINE = amd.COMMON_KERNEL_LINE


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    counting = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    return amd.qemu(machine, counting, machine.smp)
