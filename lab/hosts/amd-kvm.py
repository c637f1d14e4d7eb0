# SPDX-License-Identifier: BSD-2-Clause
"""An AMD host that is a guest of KVM in the AMD host of amd.py. SVM is then what KVM emulates
for its guests: a third implementation, with strict checks of the VMCB.

It takes a gigabyte more than its own memory. Its serial ports are the first three of the
outer machine, whose own console is the fourth: what it says ends up where other emulators
complain.
"""

import os

from hosts import amd
from labkit import initrd

DESCRIPTION = "AMD EPYC as a guest of KVM under QEMU"
# The emulator underneath is the same, but KVM's guest needs no spare processor of its own.
# Without XSAVE: QEMU 7.2 does not intercept XSETBV, so KVM does not know its guest's XCR0, and
# the kernel warns of the size of XSAVE's area that CPUID then says.
KERNEL_LINE = (
    amd.KERNEL_LINE.replace(amd.SPARE_CPU, "") + " cryptomgr.notests=1 trace_clock=local noxsave"
)
# What the emulator prints is the outer kernel's log, which must tell of no trouble either.
ERRORS_ARE_A_LOG = True

OUTER_KERNEL_LINE = f"console=ttyS3,115200 loglevel=5 panic=-1 oops=panic {amd.KERNEL_LINE}"
OUTER_MEMORY = 1024  # MiB, for QEMU and the files


def _inner_command(machine):
    """Returns the command line of the QEMU in the outer machine."""
    arguments = amd.machine_arguments(
        ["-accel", "kvm"], "host", machine.smp, machine.mem,
        initrd.INNER_KERNEL, initrd.INNER_INITRD, machine.kernel_line,
    )  # fmt: skip
    for number in range(len(machine.ports)):
        arguments += ["-serial", f"/dev/ttyS{number}"]
    return arguments + amd.device_arguments(machine)


def command(machine):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    if machine.gdb:
        raise ValueError("--gdb would debug the machine around this host: use --host amd")
    path = os.path.join(machine.folder, "outer-initrd")
    with open(path, "wb") as file:
        file.write(initrd.outer_initrd(machine.kernel, machine.initrd, _inner_command(machine)))
    arguments = amd.machine_arguments(
        amd.ACCELERATION, amd.CPU, machine.smp + 1, machine.mem + OUTER_MEMORY,
        machine.kernel.vmlinux, path, OUTER_KERNEL_LINE,
    )  # fmt: skip
    return arguments + amd.port_arguments(machine) + ["-serial", "stdio"]
