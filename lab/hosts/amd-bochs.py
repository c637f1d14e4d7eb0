# SPDX-License-Identifier: BSD-2-Clause
"""An AMD host: Bochs' Trinity APU, with next-RIP save, flush-by-ASID, LBR
virtualization and the pause filter, which the host under QEMU lacks.

What Bochs 2.7 gets wrong. The module works around the first five, as named quirks;
tests/guest/skips.amd-bochs has the tests that cannot pass for the rest.

- VMRUN does not load CR2.
- A virtual interrupt is masked at VMRUN until the guest next sets IF, even if it is set.
- A write to CR0 that turns paging off has cleared EFER.LMA when it exits.
- An intercepted #DB leaves its cause out of DR6 (a single step of our own does without).
- A triple fault is a panic of the processor first; the lab lets Bochs go on.
- The trap of a single step stays pending after an exit of the stepped instruction, and is
  delivered in the host, with the guest's GS: the host ends in a triple fault.
- EXITINTINFO is not written for INT n, but valid: it holds an earlier event.
- After VMRUN with IF clear no host interrupt causes an exit before the guest sets IF or
  exits for another reason. So guests of tests that spin without an exit set IF first.
"""

from labkit import bochs

DESCRIPTION = "AMD Trinity under Bochs"
KERNEL_LINE = bochs.KERNEL_LINE
PACKAGES = bochs.PACKAGES
PORT_CLASS = bochs.PORT_CLASS
Display = bochs.Display


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return bochs.command(machine, "trinity_apu")
