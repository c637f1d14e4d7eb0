# SPDX-License-Identifier: BSD-2-Clause
"""The boot of a Debian kernel to its first process, bench/first.c: as a guest of an
emulated host, and on that machine without a host."""

import importlib
import os
import subprocess
import sys
import tempfile
import time

from labkit import kernels
from labkit.cpio import Archive
from labkit.machine import Machine, SocketPort

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS = 600


def _kernel_line(host, mitigations):
    """What the kernel is told, bare or as a guest, but for its console."""
    line = f"quiet panic=-1 cryptomgr.notests=1 {host.KERNEL_LINE}"
    return line + (" mitigations=off" if mitigations == "off" else "")


def prepare(name, mitigations, folder):
    """Puts the guest's initrd and kernel line into FOLDER, for bench/in-host."""
    archive = Archive()
    archive.file("init", os.path.join(TOP, "build", "bench", "first"), 0o755)
    archive.folder("dev")
    with open(os.path.join(folder, "boot-initrd"), "wb") as file:
        file.write(archive.bytes())
    host = importlib.import_module(f"hosts.{name}")
    with open(os.path.join(folder, "boot-line"), "w", encoding="utf-8") as file:
        file.write(_kernel_line(host, mitigations))


def bare(name, mitigations):
    """Prints what the kernel's first process says on the machine itself."""
    host = importlib.import_module(f"hosts.{name}")
    with tempfile.TemporaryDirectory(prefix="vmm-bench.") as folder:
        prepare(name, mitigations, folder)
        machine = Machine(
            getattr(host, "PORT_CLASS", SocketPort),
            folder,
            kernel=kernels.Kernel("6.1"),
            initrd=os.path.join(folder, "boot-initrd"),
            kernel_line=f"console=ttyS0,115200 bare=1 {_kernel_line(host, mitigations)}",
            smp=1,
            mem=2048,
            devices=[],
        )
        display = host.Display() if hasattr(host, "Display") else None
        machine.start(host.command(machine), display)
        try:
            machine.run(time.monotonic() + SECONDS, lambda: None)
        finally:
            machine.stop()
        return machine.status


def bare_output(name, mitigations):
    """Returns what bare() prints, which goes to standard output byte by byte."""
    command = [sys.executable, "-B", os.path.abspath(__file__), name, mitigations]
    environment = {**os.environ, "PYTHONPATH": os.path.join(TOP, "lab")}
    result = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        sys.exit(f"bench/run: {name} did not boot without a host")
    return result.stdout


if __name__ == "__main__":
    sys.exit(bare(sys.argv[1], sys.argv[2]))
