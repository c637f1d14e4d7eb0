# SPDX-License-Identifier: BSD-2-Clause
"""Makes the root file systems of an emulated host and of the guest in it."""

import os
import shlex
import subprocess

from labkit.cpio import Archive

LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(LAB)
BUILD = os.path.join(TOP, "build")
BUSYBOX = "/bin/busybox"
QEMU = "/usr/bin/qemu-system-x86_64"
# What QEMU loads when it boots an ELF kernel.
QEMU_FILES = (
    "/usr/share/seabios/bios-256k.bin",
    "/usr/share/qemu/kvmvapic.bin",
    "/usr/share/qemu/pvh.bin",
)
# Where a host that runs in another machine has its files there.
INNER_KERNEL = "/machine/vmlinux"
INNER_INITRD = "/machine/initrd"

# alice may create VMs, bob may as well, mallory may not.
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
alice:x:1001:1001::/tmp:/bin/sh
bob:x:1002:1002::/tmp:/bin/sh
mallory:x:1003:1003::/tmp:/bin/sh
"""
VMM_GID = 900
GROUP = f"""\
root:x:0:
tty:x:5:
alice:x:1001:
bob:x:1002:
mallory:x:1003:
vmm:x:{VMM_GID}:alice,bob
"""


def _add_busybox(archive):
    archive.file("bin/busybox", BUSYBOX)
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        archive.link(f"bin/{applet}", "busybox")
    archive.device("dev/console", 0o600, 5, 1)
    archive.device("dev/null", 0o666, 1, 3)
    for folder in ("proc", "sys", "tmp", "root"):
        archive.folder(folder)


def _is_dynamic(path):
    """Whether PATH is an ELF file that may need shared libraries."""
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        start = file.read(18)
    # e_type 2 is an executable, 3 a shared object; relocatable files are neither.
    return start[:4] == b"\x7fELF" and start[16:18] in (b"\x02\0", b"\x03\0")


def _add_libraries(archive, files):
    """Adds the shared libraries that FILES need, where the loader looks for them."""
    files = [path for path in files if _is_dynamic(path)]
    if not files:
        return
    listed = subprocess.run(["ldd"] + files, capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        words = line.split()
        paths = [word for word in words if word.startswith("/") and not word.endswith(":")]
        if paths and paths[-1] not in archive:
            archive.file(paths[-1], os.path.realpath(paths[-1]), 0o755)


def _files_below(folder):
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            yield os.path.join(root, name)


def _add_modules(archive, kernel, names, vmm):
    """Adds modules of the kernel's package and vmm.ko, for modprobe to find."""
    base = f"lib/modules/{kernel.release}"
    dependencies = ""
    for path, needed in kernel.module_lines(names):
        archive.file(f"{base}/{path}", os.path.join(kernel.modules, path))
        dependencies += f"{path}: {' '.join(needed)}\n"
    if vmm:
        archive.file(f"{base}/extra/vmm.ko", vmm, 0o644)
        dependencies += "extra/vmm.ko:\n"
    archive.text(f"{base}/modules.dep", dependencies)


def outer_initrd(kernel, inner_initrd, command):
    """Returns the root file system of the machine around a host that is a guest of KVM.

    INNER_INITRD is the path of the host's own, COMMAND a list of words that runs it.
    """
    archive = Archive()
    archive.file("init", os.path.join(LAB, "files", "outer-init"), 0o755)
    archive.text("machine/command", "exec " + shlex.join(command) + "\n")
    archive.file(INNER_KERNEL, kernel.vmlinux)
    archive.file(INNER_INITRD, inner_initrd)
    _add_busybox(archive)
    _add_modules(archive, kernel, ["kvm_amd"], None)
    for path in (QEMU, *QEMU_FILES):
        archive.file(path, os.path.realpath(path))
    _add_libraries(archive, [QEMU])
    return archive.bytes()


def guest_initrd(kernel, modules=()):
    """Returns the root file system of the guest that `make run` boots.

    KERNEL is the guest's, MODULES names of modules from its package for modprobe.
    """
    archive = Archive()
    _add_busybox(archive)
    if modules:
        _add_modules(archive, kernel, modules, None)
    archive.file("init", os.path.join(LAB, "files", "guest-init"), 0o755)
    return archive.bytes()


def _settings(options):
    """What the host's init reads with ".": shell variables."""
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in options.items())


def host_initrd(
    kernel,
    guest_kernel,
    command,
    settings,
    modules=(),
    vmm=None,
    vmm_options="",
    with_folder=None,
    guest_elf=False,
    guest_modules=(),
):
    """Returns the root file system of an emulated host.

    COMMAND is a list of words, SETTINGS the variables of files/host-init, MODULES
    names of modules from the kernel's package, VMM the path of vmm.ko or None,
    VMM_OPTIONS its parameters unless others are given, WITH_FOLDER what is seen as
    /with. GUEST_ELF adds the guest's kernel uncompressed, GUEST_MODULES modules of its
    package to its root file system.
    """
    archive = Archive()
    archive.file("init", os.path.join(LAB, "files", "host-init"), 0o755)
    archive.text("lab/settings", _settings(settings))
    archive.text("lab/command", "exec " + shlex.join(command) + "\n")
    _add_busybox(archive)
    archive.text("etc/passwd", PASSWD)
    archive.text("etc/group", GROUP)
    archive.text("etc/modprobe.d/vmm.conf", f"options vmm gid={VMM_GID} {vmm_options}\n")
    _add_modules(archive, kernel, modules, vmm)

    binaries = list(_files_below(os.path.join(BUILD, "bin")))
    for path in binaries:
        archive.file(f"sbin/{os.path.basename(path)}", path)
    library = os.path.join(BUILD, "lib", "libvmmapi.so.1")
    if os.path.exists(library):
        archive.file("lib/libvmmapi.so.1", library)
        binaries.append(library)
    archive.file("lab/emulated", os.path.join(LAB, "files", "emulated"), 0o644)
    archive.file("lab/boot-guest", os.path.join(LAB, "files", "boot-guest"), 0o755)
    archive.file("guest/vmlinuz", guest_kernel.vmlinuz)
    if guest_elf:
        archive.file("guest/vmlinux", guest_kernel.vmlinux)
    archive.blob("guest/initrd", guest_initrd(guest_kernel, guest_modules))
    if with_folder:
        archive.tree("with", with_folder)
        binaries.extend(_files_below(with_folder))
    _add_libraries(archive, binaries)
    return archive.bytes()
