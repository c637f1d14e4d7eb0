# SPDX-License-Identifier: BSD-2-Clause
"""Runs an emulated host and carries bytes between it and this terminal.

The host's init (files/host-init) uses three serial ports: for the kernel's
log, for the command's output and input, and for its own reports. Their other
ends are sockets that the emulator inherits, or pseudo-terminals.
"""

import ctypes
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

from labkit import hostlog

# The keys that end the emulator at once: Ctrl-A, then x. Ctrl-A twice sends one.
ESCAPE = 0x01
QUIT = ord("x")

# Seconds that a host may take to turn off after its command has ended.
POWER_OFF_SECONDS = 60

PR_SET_PDEATHSIG = 1


class Hung(Exception):
    """The host has told of trouble, and nothing since."""


class TimedOut(Exception):
    pass


class Quit(Exception):
    """The escape keys were typed."""


def _die_with_parent():
    # Even if this process is killed outright no emulator stays behind.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Terminal:
    """Our terminal in raw mode, so that every key reaches the host."""

    def __init__(self):
        self._saved = None
        self._escaped = False
        self.gone = False

    def raw(self):
        self._saved = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin)

    def restore(self):
        if self._saved is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)
            self._saved = None

    def read(self):
        """Returns what was typed, without the escape keys."""
        data = os.read(sys.stdin.fileno(), 4096)
        self.gone = not data
        typed = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte == QUIT:
                    raise Quit
                typed.append(byte)
            elif byte == ESCAPE:
                self._escaped = True
            else:
                typed.append(byte)
        return bytes(typed)


class SocketPort:
    """A serial port whose other end the emulator inherits: NAME is its number there."""

    def __init__(self):
        self._ours, self._theirs = socket.socketpair()
        self.inherited = [self._theirs.fileno()]
        self.name = str(self._theirs.fileno())

    def fileno(self):
        return self._ours.fileno()

    def started(self):
        self._theirs.close()


class PtyPort:
    """A serial port whose other end the emulator opens: NAME is its path."""

    def __init__(self):
        # The slave stays open here, or there would be an end of file before the
        # emulator has opened it.
        self._ours, self.other_end = os.openpty()
        tty.setraw(self.other_end)
        self.inherited = []
        self.name = os.ttyname(self.other_end)

    def fileno(self):
        return self._ours

    def started(self):
        pass


def _read_some(port):
    """Returns what the emulator has written to the port, b"" if it has closed it."""
    try:
        return os.read(port.fileno(), 65536)
    except OSError as error:
        if error.errno in (errno.ECONNRESET, errno.EIO):
            return b""
        raise


class Machine:
    """One run of an emulated host.

    For the host's file to read: kernel (see labkit.kernels), initrd (path),
    kernel_line, smp, mem (MiB), devices (what --device adds for the emulator), trace (whether
    to stop at XCHG BX, BX), gdb (the port of gdb's stub, or None), folder (for files of its
    own) and ports, whose names the emulator is to be told.
    """

    def __init__(self, port_class, folder, **fields):
        self.folder = folder
        self.kernel = fields["kernel"]
        self.initrd = fields["initrd"]
        self.kernel_line = fields["kernel_line"]
        self.smp = fields["smp"]
        self.mem = fields["mem"]
        self.devices = fields["devices"]
        self.trace = fields.get("trace", False)
        self.gdb = fields.get("gdb")
        # One whose log tells of trouble is dead after so many seconds without a byte.
        self.hangs_after = fields["hangs_after"]

        self._log, self._console, self._reports = self.ports = [port_class() for _ in range(3)]
        self.log_path = os.path.join(folder, "log")
        self._log_file = open(self.log_path, "wb")
        self.errors_path = os.path.join(folder, "errors")  # what the emulator complains of
        self._display = None
        self.booted_after = None  # seconds by the host's clock, once it is up
        self.status = None  # of the command, once it has ended
        self._process = None
        self._line = b""
        self._log_line = b""
        self._in_trouble = False
        self._last_heard = time.monotonic()
        self._sources = []

    def start(self, command, display=None):
        """Starts the emulator.

        DISPLAY, if there is one, is a PtyPort for its terminal. What comes there goes to
        the display's serve(), which returns more ports that must be read.
        """
        self._display = display
        if display is not None:
            stdin = stdout = display.other_end
        else:
            stdin = subprocess.DEVNULL
            stdout = open(self.errors_path, "wb")
        self._process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stdout,
            env={**os.environ, "TERM": "xterm"},
            pass_fds=[number for port in self.ports for number in port.inherited],
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        for port in self.ports:
            port.started()

    def stop(self):
        """Ends the emulator if it still runs."""
        if self._process:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        self._log_file.close()

    def run(self, deadline, on_boot, terminal=None):
        """Carries bytes until the emulator has ended.

        DEADLINE is by time.monotonic(), or None. ON_BOOT is called once, when
        the host is up. With TERMINAL what is typed there goes to the host.
        """
        ended = os.pidfd_open(self._process.pid)
        sources = self._sources = [ended] + self.ports
        if self._display:
            sources.append(self._display)
        announced = ending = False
        while ended in sources:
            typing = [sys.stdin] if announced and terminal and not terminal.gone else []
            wait = self._remaining(deadline, typing)
            for source in select.select(sources + typing, [], [], wait)[0]:
                if source is ended:
                    sources.remove(ended)
                elif source is sys.stdin:
                    os.write(self._console.fileno(), terminal.read())
                elif not self._serve(source):
                    sources.remove(source)
            if self.booted_after is not None and not announced:
                announced = True
                on_boot()
            if self.status is not None and not ending:
                ending = True
                deadline = time.monotonic() + POWER_OFF_SECONDS
        os.close(ended)
        self._drain(sources)

    def _remaining(self, deadline, typing):
        """Seconds until the host must be stopped, None for never; raises why if it must be now."""
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise TimedOut
        ends = [] if deadline is None else [deadline]
        if self._in_trouble and not typing and not self.gdb:
            ends.append(self._last_heard + self.hangs_after)
            if now >= ends[-1]:
                raise Hung
        return min(ends) - now if ends else None

    def _drain(self, sources):
        """Reads what the emulator wrote just before it ended."""
        while sources:
            readable = select.select(sources, [], [], 0)[0]
            if not readable:
                return
            for source in readable:
                if not self._serve(source):
                    sources.remove(source)

    def _serve(self, port):
        """Passes on what has come through a port; returns whether there may be more."""
        data = _read_some(port)
        if port is not self._display:
            self._last_heard = time.monotonic()
        if port is self._log:
            self._log_file.write(data)
            self._log_file.flush()
            self._look_for_trouble(data)
        elif port is self._reports:
            self._read_reports(data)
        elif port is self._console:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif port is self._display:
            self._sources += port.serve(data)
        return bool(data)

    def _look_for_trouble(self, data):
        lines = self._log_line + data
        self._log_line = lines.rpartition(b"\n")[2]
        self._in_trouble |= hostlog.find_trouble(lines.decode(errors="replace")) is not None

    def _read_reports(self, data):
        self._line += data
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            word, _, value = line.strip().decode(errors="replace").partition(" ")
            if word == "booted" and self.booted_after is not None:
                self._process.kill()  # it has been reset, and not all emulators end then
            elif word == "booted":
                self.booted_after = float(value)
            elif word == "status":
                self.status = int(value)
