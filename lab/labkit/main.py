# SPDX-License-Identifier: BSD-2-Clause
"""Boots an emulated host with vmm.ko in it and runs a command there.

lab/run [OPTIONS] [-- COMMAND...]
"""

EPILOG = """\
The host has vmm.ko loaded, our commands and library, busybox, a guest's kernel
and root file system in /guest, and DIR as /with. Its users are root, alice and
bob (in the group vmm), and mallory (not in it): `su alice -c ...`.

COMMAND's output is passed on byte by byte and its exit status is returned.
Without COMMAND there is a shell. On a terminal, what is typed goes to the
command; Ctrl-A x ends the host at once, Ctrl-A Ctrl-A sends a Ctrl-A.

Exit status: COMMAND's; 124 if the time is over; 125 if the host failed: it did
not boot, panicked, or its kernel log tells of a bug, warning or lockup.
"""

import argparse
import fcntl
import importlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(LAB)
sys.path.insert(0, LAB)

from labkit import hostlog, initrd, kernels  # noqa: E402
from labkit.machine import Hung, Machine, Quit, SocketPort, Terminal, TimedOut  # noqa: E402

DEVICE_HELP = "more arguments for QEMU, or a line of Bochs' configuration"
GDB_HELP = "under QEMU: stopped before the first instruction, gdb's stub on PORT (1234)"
HANG_HELP = "seconds of silence after which a host with trouble in its log is dead (120)"

# A serial port is 9600 baud otherwise, and an emulator may take that at its word.
KERNEL_LINE = "console=ttyS0,115200 loglevel=7 panic=-1 oops=panic"

TIMED_OUT = 124
LAB_FAILED = 125


class LabError(Exception):
    """A run that failed for a reason other than its command."""


class Progress:
    """Says on a terminal, or if told to, what is done and how long it took."""

    def __init__(self, shown):
        self.shown = shown
        self.begin = time.monotonic()

    def say(self, text):
        if self.shown:
            print(f"  {text}: {time.monotonic() - self.begin:.1f} s", file=sys.stderr, flush=True)
        self.begin = time.monotonic()

    def hint(self, text):
        if self.shown:
            print(f"  ({text})", file=sys.stderr, flush=True)


def host_names():
    names = os.listdir(os.path.join(LAB, "hosts"))
    return sorted(name[:-3] for name in names if name.endswith(".py"))


def parse(arguments):
    command = None
    if "--" in arguments:
        split = arguments.index("--")
        arguments, command = arguments[:split], arguments[split + 1 :]
    parser = argparse.ArgumentParser(
        prog="lab/run",
        usage="%(prog)s [OPTIONS] [-- COMMAND...]",
        description=__doc__.splitlines()[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default="amd", choices=host_names(), help="the kind of host (default: amd)")
    add("--kernel", default="6.1", choices=kernels.VERSIONS, help="the host's kernel (6.1)")
    add("--guest-kernel", choices=kernels.VERSIONS, help="the kernel in /guest (the host's; 6.1)")
    add("--guest-elf", action="store_true", help="the guest's kernel uncompressed as well (60 MiB)")
    add("--guest-modules", default="", metavar="NAMES", help="modules in the guest's root folder")
    add("--smp", type=int, default=2, metavar="N", help="processors (2)")
    add("--mem", type=int, default=2048, metavar="MIB", help="memory (2048)")
    add("--module-args", default="", metavar="ARGS", help="parameters of vmm.ko")
    add("--no-module", action="store_true", help="do not load vmm.ko, nor build it")
    add("--modules", default="", metavar="NAMES", help="load modules of the kernel's package first")
    add("--device", action="append", default=[], metavar="ARGS", help=DEVICE_HELP)
    add("--trace", metavar="FILE", help="under Bochs: what is executed after XCHG BX, BX")
    add("--gdb", type=int, nargs="?", const=1234, metavar="PORT", help=GDB_HELP)
    add("--append", default="", metavar="LINE", help="more kernel parameters")
    add("--with", dest="with_folder", metavar="DIR", help="a folder to be seen as /with")
    add("--timeout", type=float, metavar="S", help="seconds (900; none on a terminal)")
    add("--hang", type=float, default=120, metavar="S", help=HANG_HELP)
    add("--log", metavar="FILE", help="keep the host's kernel log in FILE")
    add("--no-build", action="store_true", help="use what is in build/ as it is")
    add("--verbose", action="store_true", help="show progress although not on a terminal")
    options = parser.parse_args(arguments)
    if options.with_folder and not os.path.isdir(options.with_folder):
        parser.error(f"--with {options.with_folder}: no such folder")
    if options.smp < 1 or options.mem < 256:
        parser.error("a host has at least 1 processor and 256 MiB")
    # Guests of the host for debugging would take minutes to boot its kernel.
    options.guest_kernel = options.guest_kernel or options.kernel.replace("debug", "6.1")
    options.command = command or None
    return options


def set_up(options):
    setup = os.path.join(LAB, "setup")
    wanted = {options.kernel, options.guest_kernel}
    subprocess.run([setup, "lab", *sorted(wanted)], check=True)
    packages = getattr(load_host(options), "PACKAGES", "")
    if packages:
        subprocess.run([setup, "packages", *packages.split()], check=True)


def load_host(options):
    return importlib.import_module(f"hosts.{options.host}")


def build(options, progress):
    """Brings the commands and the module up to date, one lab/run at a time."""
    targets = ["programs"]
    if not options.no_module:
        targets.append(f"build/module/{options.kernel}/vmm.ko")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    os.makedirs(initrd.BUILD, exist_ok=True)
    with open(os.path.join(initrd.BUILD, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run(
            ["make", "-C", TOP, "--no-print-directory"] + targets,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if progress.shown else subprocess.PIPE,
            stderr=None if progress.shown else subprocess.STDOUT,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        raise LabError(f"the build failed\n{result.stdout or ''}".rstrip())
    progress.say("built")


def module_path(options):
    path = os.path.join(initrd.BUILD, "module", options.kernel, "vmm.ko")
    if os.path.exists(path):
        return path
    if options.no_module:
        return None
    raise LabError(f"there is no {os.path.relpath(path, TOP)}; run make, or use --no-module")


def stripped(path, folder):
    """Returns a copy of the module at PATH without its debugging information."""
    if path is None:
        return None
    copy = os.path.join(folder, "vmm.ko")
    subprocess.run(["strip", "--strip-debug", "-o", copy, path], check=True)
    return copy


def settings(options, on_terminal):
    size = shutil.get_terminal_size()
    return {
        "TERMINAL": int(on_terminal),
        "ROWS": size.lines,
        "COLUMNS": size.columns,
        "TERM": os.environ.get("TERM", "vt100"),
        "LAB_HOST": options.host,
        "LOAD_MODULE": int(not options.no_module),
        "MODULE_ARGS": shlex.join(shlex.split(options.module_args)),
        "EXTRA_MODULES": options.modules,
    }


def write_initrd(options, kernel, guest_kernel, folder, on_terminal):
    image = initrd.host_initrd(
        kernel,
        guest_kernel,
        options.command or ["sh", "-l"],
        settings(options, on_terminal),
        modules=options.modules.split(),
        vmm=stripped(module_path(options), folder),
        vmm_options=getattr(load_host(options), "MODULE_OPTIONS", ""),
        with_folder=options.with_folder,
        guest_elf=options.guest_elf,
        guest_modules=options.guest_modules.split(),
    )
    path = os.path.join(folder, "initrd")
    with open(path, "wb") as file:
        file.write(image)
    return path


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def judge(machine, host, log, errors):
    """Raises LabError unless the host itself went through the run unharmed."""
    trouble = hostlog.find_trouble(log)
    if not trouble and hasattr(host, "ERRORS_ARE_A_LOG"):
        trouble = hostlog.find_trouble(errors)
    if trouble:
        raise LabError(f"the host's log tells of trouble: {trouble}")
    if machine.booted_after is None and machine.status is None:
        raise LabError(f"the host did not boot\n{errors}".rstrip())
    if machine.booted_after is None:
        raise LabError("the host could not load a module that was asked for")
    if machine.status is None:
        complaints = hostlog.tail(errors, 10)
        raise LabError(f"the host ended before the command did\n{complaints}".rstrip())


def boot(options, machine, host, progress):
    """Runs the machine to its end, or until the time is over."""
    on_terminal = sys.stdin.isatty()
    terminal = Terminal() if on_terminal else None
    seconds = options.timeout or (None if on_terminal or options.gdb else 900)
    deadline = time.monotonic() + seconds if seconds else None

    def on_boot():
        progress.say(f"booted {host.DESCRIPTION}, Linux {machine.kernel.release}")
        if terminal:
            progress.hint("Ctrl-A x ends the host at once")
            terminal.raw()

    try:
        if options.trace and not hasattr(host, "Display"):
            raise LabError("--trace is for the hosts under Bochs")
        if options.gdb and hasattr(host, "Display"):
            raise LabError("--gdb is for the hosts under QEMU")
        display = host.Display(options.trace) if hasattr(host, "Display") else None
        machine.start(host.command(machine), display)
        if options.gdb:
            say_how_to_debug(options, machine)
        machine.run(deadline, on_boot, terminal)
    except TimedOut:
        if machine.status is not None:
            raise LabError("the host did not turn off after the command had ended") from None
        raise
    except Hung:
        trouble = hostlog.find_trouble(read_text(machine.log_path))
        raise LabError(f"the host hangs; its log tells of trouble: {trouble}") from None
    finally:
        machine.stop()
        if terminal:
            terminal.restore()
    progress.say("command ended and host turned off")


def kernel_line(options, host):
    debugged = "nokaslr " if options.gdb else ""
    return f"{KERNEL_LINE} {host.KERNEL_LINE} {debugged}{options.append}"


def say_how_to_debug(options, machine):
    """Prints what to type in another terminal while the host waits for gdb."""
    words = [f"target remote localhost:{options.gdb}"]
    if not options.no_module and not options.modules:
        module = os.path.relpath(module_path(options))
        words.insert(0, f"add-symbol-file {module} {kernels.FIRST_MODULE:#x}")
    # Debian's vmlinux has no symbols, but tells gdb the architecture.
    line = f"gdb {machine.kernel.vmlinux} " + " ".join(f"-ex {shlex.quote(word)}" for word in words)
    print(f"lab/run: the host is stopped; go on with\n    {line}", file=sys.stderr, flush=True)


def run_in(options, folder, progress):
    """One run with FOLDER for temporary files; returns the exit status."""
    host = load_host(options)
    kernel = kernels.Kernel(options.kernel)
    guest_kernel = kernels.Kernel(options.guest_kernel)
    machine = Machine(
        getattr(host, "PORT_CLASS", SocketPort),
        folder,
        kernel=kernel,
        initrd=write_initrd(options, kernel, guest_kernel, folder, sys.stdin.isatty()),
        kernel_line=kernel_line(options, host),
        smp=options.smp,
        mem=options.mem,
        devices=options.device,
        trace=bool(options.trace),
        gdb=options.gdb,
        hangs_after=options.hang,
    )
    try:
        boot(options, machine, host, progress)
        judge(machine, host, read_text(machine.log_path), read_text(machine.errors_path))
        return machine.status
    except TimedOut:
        print("lab/run: the time is over", file=sys.stderr)
        show_log(machine.log_path)
        return TIMED_OUT
    except LabError as error:
        print(f"lab/run: {error}", file=sys.stderr)
        show_log(machine.log_path)
        return LAB_FAILED
    finally:
        if options.log:
            shutil.copy(machine.log_path, options.log)


def show_log(path):
    if not read_text(path):
        return
    print("---- the end of the host's log", file=sys.stderr)
    print(hostlog.tail(read_text(path)), file=sys.stderr)
    print("----", file=sys.stderr)


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main():
    options = parse(sys.argv[1:])
    if options.command is None and not sys.stdin.isatty():
        sys.exit("lab/run: without COMMAND there is a shell, which wants a terminal")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    progress = Progress(options.verbose or sys.stderr.isatty())
    try:
        set_up(options)
        if not options.no_build:
            build(options, progress)
        with tempfile.TemporaryDirectory(prefix="vmm-lab.") as folder:
            sys.exit(run_in(options, folder, progress))
    except subprocess.CalledProcessError as error:
        # What fails without output that is kept has said why itself.
        print((error.stderr or b"").decode(errors="replace"), end="", file=sys.stderr)
        sys.exit(LAB_FAILED)
    except (LabError, ValueError, OSError) as error:
        print(f"lab/run: {error}", file=sys.stderr)
        sys.exit(LAB_FAILED)
    except Quit:
        print("lab/run: ended by Ctrl-A x", file=sys.stderr)
        sys.exit(LAB_FAILED)


if __name__ == "__main__":
    main()
