# SPDX-License-Identifier: BSD-2-Clause
"""Makes a disk that boots a kernel by the PVH protocol: see lab/pvhboot."""

import os
import struct
import subprocess

PVHBOOT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pvhboot")

SECTOR = 512
CONTENTS_MAGIC = 0x48565076
CMDLINE_SECTORS = 2
MAX_PIECES = 16

PT_LOAD = 1
PT_NOTE = 4
XEN_ELFNOTE_PHYS32_ENTRY = 18


def _program(folder):
    """Builds pvhboot, and returns it."""
    target = os.path.join(folder, "pvhboot")
    subprocess.run(
        ["gcc", "-m32", "-ffreestanding", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-O2"]
        + ["-fno-stack-protector", "-fno-tree-loop-distribute-patterns", "-mgeneral-regs-only"]
        + ["-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Werror"]
        + ["-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-Wl,--oformat=binary"]
        + ["-Wl,-T," + os.path.join(PVHBOOT, "link.ld"), "-o", target]
        + [os.path.join(PVHBOOT, "boot.S"), os.path.join(PVHBOOT, "pvhboot.c")],
        check=True,
    )
    with open(target, "rb") as file:
        return file.read()


def _segments(elf):
    """Yields (type, file's bytes, physical address, size in memory)."""
    (offset,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for number in range(count):
        kind, _, at, _, address, in_file, in_memory, _ = struct.unpack_from(
            "<IIQQQQQQ", elf, offset + number * size
        )
        yield kind, elf[at : at + in_file], address, in_memory


def _pvh_entry(notes):
    """Returns the PVH entry that a PT_NOTE segment tells of, or None."""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        name = at + 12
        value = name + (name_size + 3 & ~3)
        if kind == XEN_ELFNOTE_PHYS32_ENTRY and notes[name : name + 3] == b"Xen":
            return struct.unpack_from("<I", notes, value)[0]
        at = value + (size + 3 & ~3)
    return None


def _in_sectors(data):
    return data + bytes(-len(data) % SECTOR)


def write(path, folder, kernel, initrd, line):
    """Writes a disk to PATH that boots the ELF file KERNEL with INITRD and the parameters LINE.

    Returns its size in sectors. FOLDER is for temporary files.
    """
    with open(kernel, "rb") as file:
        elf = file.read()
    with open(initrd, "rb") as file:
        ram_disk = file.read()
    program = _program(folder)
    entry = None
    parts = []
    table = b""
    sector = len(program) // SECTOR + 1 + CMDLINE_SECTORS
    for kind, data, address, size in _segments(elf):
        if kind == PT_NOTE:
            entry = entry or _pvh_entry(data)
        if kind != PT_LOAD:
            continue
        # pvhboot clears what is not on the disk.
        data = _in_sectors(data.rstrip(b"\0"))
        table += struct.pack("<IIII", sector, len(data) // SECTOR, address, size)
        parts.append(data)
        sector += len(data) // SECTOR
    command_line = line.encode()
    if entry is None:
        raise ValueError(f"{kernel} has no PVH entry")
    if len(command_line) >= CMDLINE_SECTORS * SECTOR or len(parts) > MAX_PIECES:
        raise ValueError("pvhboot has no room for these kernel parameters or this kernel")
    contents = struct.pack("<IIIII", CONTENTS_MAGIC, entry, sector, len(ram_disk), len(parts))
    with open(path, "wb") as file:
        file.write(program)
        file.write(_in_sectors(contents + table))
        file.write(command_line.ljust(CMDLINE_SECTORS * SECTOR, b"\0"))
        file.writelines(parts)
        file.write(_in_sectors(ram_disk))
        return file.tell() // SECTOR
