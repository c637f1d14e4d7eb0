# SPDX-License-Identifier: BSD-2-Clause
"""An AMD host: QEMU's software emulation of an EPYC with SVM and nested paging.

It lacks next-RIP save, decode assists and clean bits. With no_timer_check the
kernel trusts the timer interrupt, whose check fails now and then in emulation,
and with tsc=reliable the TSC, which QEMU keeps in step on all processors but
does not announce as invariant.

It has one processor more than was asked for, number 0, which everything but the
kernel itself keeps away from: QEMU 7.2 loses state of the first processor. Loading
x87 state on any processor (FXRSTOR, XRSTOR) clears a bit of the first one's
"hflags2" without a lock (cpu_clear_ignne), and may undo what that one's own thread
has just written there. Lost were the end of nested paging at a #VMEXIT, so that the
host ran under the guest's nested table, and its beginning at a VMRUN; seen about
once in a million exits, as a guest's triple fault or as the end of the host. One
thread for all processors would do as well, but lets a processor that spins run for
a tenth of a second before the one it waits for.

Nor does QEMU 7.2 always notice that code is changed while another processor translates
it. Linux changes code that runs by way of INT3, which that processor then meets for good:
"Oops: int3" in sched_clock_cpu(), in one boot of forty, of hosts and guests. It is the one
hot function that Linux changes in every boot, when it trusts the TSC for the scheduler's
clock; without the initcall it does not.
"""

import shlex

from labkit import tsc

DESCRIPTION = "AMD EPYC under QEMU"
# Whatever the number of processors, and whatever the TSC counts.
COMMON_KERNEL_LINE = "edd=off no_timer_check tsc=reliable spec_rstack_overflow=off"
SPARE_CPU = " lab.spare_cpu=0"
KERNEL_LINE = (
    COMMON_KERNEL_LINE
    + SPARE_CPU
    + " initcall_blacklist=sched_clock_init_late"
    + tsc.kernel_parameter()
)

# The features taken away are those of an EPYC that QEMU would warn about, since it does not
# emulate them.
CPU = (
    "EPYC,+svm,+npt"
    ",-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec"
)


ACCELERATION = ["-accel", "tcg,thread=multi"]


def machine_arguments(acceleration, cpu, processors, mem, kernel, initrd, kernel_line):
    """Returns QEMU's command line for a machine without ports and devices."""
    return [
        "qemu-system-x86_64",
        *acceleration,
        "-machine", "q35",
        "-cpu", cpu,
        "-smp", str(processors),
        "-m", str(mem),
        "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none",
        "-no-reboot",
        "-kernel", kernel,
        "-initrd", initrd,
        "-append", kernel_line,
    ]  # fmt: skip


def port_arguments(machine):
    """Returns the arguments for the serial ports of a labkit.machine.Machine."""
    arguments = []
    for number, port in enumerate(machine.ports):
        arguments += ["-chardev", f"socket,id=port{number},fd={port.name}"]
        arguments += ["-serial", f"chardev:port{number}"]
    return arguments


def device_arguments(machine):
    """Returns what --device says."""
    return [word for text in machine.devices for word in shlex.split(text)]


def qemu(machine, acceleration, processors, iommu=()):
    """Returns the command line for a labkit.machine.Machine with so many processors.

    IOMMU is the arguments for one, which must come before the devices it is for.
    """
    arguments = machine_arguments(
        acceleration, CPU, processors, machine.mem,
        machine.kernel.vmlinux, machine.initrd, machine.kernel_line,
    )  # fmt: skip
    if machine.gdb:
        arguments += ["-S", "-gdb", f"tcp:127.0.0.1:{machine.gdb}"]
    return arguments + port_arguments(machine) + list(iommu) + device_arguments(machine)


def command(machine, iommu=()):
    """Returns the emulator's command line for a labkit.machine.Machine."""
    return qemu(machine, ACCELERATION, machine.smp + 1, iommu)
