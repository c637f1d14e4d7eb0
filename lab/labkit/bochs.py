# SPDX-License-Identifier: BSD-2-Clause
"""What the hosts under Bochs share.

Bochs boots a CD made by GRUB. Since it runs some 20 million instructions a
second, GRUB starts the uncompressed kernel, through pvhboot. Debian's Bochs has
its debugger built in: it wants a terminal, and a "c" on it before it begins.
"""

import os
import shutil
import subprocess

from labkit.machine import PtyPort

PACKAGES = "bochs bochs-term bochsbios vgabios grub-pc-bin grub-common xorriso mtools"
PORT_CLASS = PtyPort
TYPED_AT_START = b"c\n"

HERE = os.path.dirname(os.path.abspath(__file__))
PVHBOOT = os.path.join(os.path.dirname(HERE), "pvhboot")
SHARE = "/usr/share/bochs"

GRUB_MENU = """\
set timeout=0
menuentry host {{
	multiboot /pvhboot
	module /vmlinux {line}
	module /initrd
}}
"""

SETTINGS = """\
display_library: term
megs: {mem}
cpu: model={model}, count={smp}, ips=50000000, reset_on_triple_fault=0
romimage: file={share}/BIOS-bochs-latest
vgaromimage: file={share}/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={image}, status=inserted
boot: cdrom
clock: sync=none, time0=utc
log: {log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
speaker: enabled=0
{ports}
{more}
"""


def _build_pvhboot(target):
    subprocess.run(
        ["gcc", "-m32", "-ffreestanding", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-O2"]
        + ["-fno-stack-protector", "-mgeneral-regs-only", "-Wall", "-Wextra", "-Werror"]
        + ["-Wl,-Ttext-segment=0x100000", "-Wl,-e,start", "-Wl,--build-id=none", "-o", target]
        + [os.path.join(PVHBOOT, "boot.S"), os.path.join(PVHBOOT, "pvhboot.c")],
        check=True,
    )


def _make_image(machine):
    """Makes the CD that the machine boots."""
    tree = os.path.join(machine.folder, "cd")
    os.makedirs(os.path.join(tree, "boot", "grub"))
    _build_pvhboot(os.path.join(tree, "pvhboot"))
    os.link(machine.initrd, os.path.join(tree, "initrd"))
    shutil.copy(machine.kernel.vmlinux, os.path.join(tree, "vmlinux"))
    with open(os.path.join(tree, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as file:
        file.write(GRUB_MENU.format(line=machine.kernel_line))
    image = os.path.join(machine.folder, "cd.iso")
    subprocess.run(
        ["grub-mkrescue", "-o", image, tree],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    return image


def command(machine, model):
    """Returns the command line for a machine with Bochs' processor MODEL."""
    ports = (
        f"com{number}: enabled=1, mode=term, dev={port.name}"
        for number, port in enumerate(machine.ports, 1)
    )
    settings = os.path.join(machine.folder, "bochsrc")
    with open(settings, "w", encoding="utf-8") as file:
        file.write(
            SETTINGS.format(
                mem=machine.mem,
                model=model,
                smp=machine.smp,
                share=SHARE,
                image=_make_image(machine),
                log=machine.errors_path,
                ports="\n".join(ports),
                more="\n".join(machine.devices),
            )
        )
    return ["bochs", "-q", "-f", settings, "-rc", "/dev/null"]
