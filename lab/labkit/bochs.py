# SPDX-License-Identifier: BSD-2-Clause
"""What the hosts under Bochs share.

Bochs runs some 40 million instructions a second at best, so it boots the uncompressed kernel,
from a disk that loads itself (labkit/pvhdisk.py). Debian's Bochs has its debugger built
in: it wants a terminal, and there a "c" to go on.

A guest's triple fault is a panic of the processor to it before it is an exit, so panics
of processors must not end it. The host's own stops that processor for good.
"""

import os
import re
import tty

from labkit import pvhdisk
from labkit.machine import PtyPort

PACKAGES = "bochs bochs-term bochsbios vgabios"
PORT_CLASS = PtyPort
# The self-tests of the kernel's ciphers are half of its boot. The TSC counts the
# instructions of all processors together. MWAIT is not used: Bochs 2.7 does not always notice
# the write that it waits for, and the processor sleeps until the next interrupt. On Intel a
# boot took twice the time with it, and a guest's sleep of 10 s up to 12.3.
KERNEL_LINE = "edd=off no_timer_check tsc=reliable cryptomgr.notests=1 idle=halt"

SHARE = "/usr/share/bochs"

# The disk's geometry, which the firmware wants to know.
HEADS = 16
SECTORS_PER_TRACK = 63

SETTINGS = """\
display_library: term
megs: {mem}
cpu: model={model}, count={smp}, ips=50000000, reset_on_triple_fault=0
romimage: file={share}/BIOS-bochs-latest, options=fastboot
vgaromimage: file={share}/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path={disk}, mode=flat, cylinders={cylinders}, heads={heads}, spt={spt}
boot: disk
clock: sync=none, time0=utc
log: {log}
panic: action=fatal{cpus_report}
error: action=report{cpus_ignore}
info: action=ignore
debug: action=ignore
speaker: enabled=0
{ports}
{more}
"""


class Screen:
    """The machine's screen, a terminal that Bochs has made. Unread, it would stop Bochs."""

    def __init__(self, path):
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._file)

    def fileno(self):
        return self._file


class Display(PtyPort):
    """The terminal of Bochs' debugger.

    It asks for a command when it begins, after a triple fault, be it a guest's, and, with a
    file TRACE, after XCHG BX, BX; and it names the terminal that has the screen. The first
    time that instruction is met the next ones executed are written to TRACE.
    """

    _EVENT = re.compile(rb'<bochs:\d+>|connected to screen "([^"]+)"')
    _MAGIC = b"Magic breakpoint"
    _STEPS = 40000

    def __init__(self, trace=None):
        super().__init__()
        self._text = b""
        self._trace = open(trace, "wb", buffering=0) if trace else None
        self._tracing = False
        self._commands = []  # what the next prompts get, before "c"

    def _answer(self, before):
        if self._trace and not self._trace.tell() and self._MAGIC in before:
            self._commands = [b"trace on", b"s %d" % self._STEPS, b"trace off"]
        self._tracing = bool(self._commands)  # until "c": what "trace off" answers is in it
        os.write(self.fileno(), (self._commands.pop(0) if self._commands else b"c") + b"\n")

    def serve(self, data):
        if self._tracing:
            self._trace.write(data)
        self._text += data
        screens = []
        begin = 0
        for event in self._EVENT.finditer(self._text):
            if event[1]:
                screens.append(Screen(event[1].decode()))
            else:
                self._answer(self._text[begin : event.start()])
            begin = event.end()
        # What follows the last event may be the beginning of another.
        self._text = self._text[begin:][-200:]
        return screens


def _make_disk(machine):
    """Makes the disk that the machine boots; returns its path and its cylinders."""
    path = os.path.join(machine.folder, "disk")
    sectors = pvhdisk.write(
        path, machine.folder, machine.kernel.vmlinux, machine.initrd, machine.kernel_line
    )
    cylinders = -(-sectors // (HEADS * SECTORS_PER_TRACK))
    os.truncate(path, cylinders * HEADS * SECTORS_PER_TRACK * pvhdisk.SECTOR)
    return path, cylinders


def command(machine, model):
    """Returns the command line for a machine with Bochs' processor MODEL."""
    ports = (
        f"com{number}: enabled=1, mode=term, dev={port.name}"
        for number, port in enumerate(machine.ports, 1)
    )
    disk, cylinders = _make_disk(machine)
    settings = os.path.join(machine.folder, "bochsrc")
    with open(settings, "w", encoding="utf-8") as file:
        file.write(
            SETTINGS.format(
                mem=machine.mem,
                model=model,
                smp=machine.smp,
                share=SHARE,
                disk=disk,
                cylinders=cylinders,
                heads=HEADS,
                spt=SECTORS_PER_TRACK,
                log=machine.errors_path,
                cpus_report="".join(f", CPU{number}=report" for number in range(machine.smp)),
                cpus_ignore="".join(f", CPU{number}=ignore" for number in range(machine.smp)),
                ports="\n".join(ports),
                more="\n".join(machine.devices + ["magic_break: enabled=1"] * bool(machine.trace)),
            )
        )
    return ["bochs", "-q", "-f", settings, "-rc", "/dev/null"]
