# SPDX-License-Identifier: BSD-2-Clause
"""Runs an emulated host and carries bytes between it and this terminal.

The host's init (files/host-init) uses three serial ports: the kernel's log
goes to a file, the command's output and input and the reports of init through
sockets that the emulator inherits.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

# The keys that end the emulator at once: Ctrl-A, then x. Ctrl-A twice sends one.
ESCAPE = 0x01
QUIT = ord("x")

# Seconds that a host may take to turn off after its command has ended.
POWER_OFF_SECONDS = 60

PR_SET_PDEATHSIG = 1


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


class Machine:
    """One run of an emulated host. The fields up to ports are the host file's to read."""

    def __init__(self, kernel, initrd, kernel_line, smp, mem, devices, log):
        self.kernel = kernel
        self.initrd = initrd
        self.kernel_line = kernel_line
        self.smp = smp
        self.mem = mem
        self.devices = devices
        self._console, host_console = socket.socketpair()
        self._reports, host_reports = socket.socketpair()
        self._host_sockets = (host_console, host_reports)
        self.ports = [f"file:{log}"] + [f"fd:{end.fileno()}" for end in self._host_sockets]

        self.booted_after = None  # seconds by the host's clock, once it is up
        self.status = None  # of the command, once it has ended
        self._process = None
        self._line = b""

    def start(self, command, errors):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=[end.fileno() for end in self._host_sockets],
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        for end in self._host_sockets:
            end.close()

    def stop(self):
        """Ends the emulator if it still runs."""
        if self._process and self._process.poll() is None:
            self._process.kill()
        if self._process:
            self._process.wait()

    def _read_reports(self, data):
        self._line += data
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            word, _, value = line.strip().decode(errors="replace").partition(" ")
            if word == "booted":
                self.booted_after = float(value)
            elif word == "status":
                self.status = int(value)

    def run(self, deadline, on_boot, terminal=None):
        """Carries bytes until the emulator has ended.

        DEADLINE is by time.monotonic(), or None. ON_BOOT is called once, when
        the host is up. With TERMINAL what is typed there goes to the host.
        """
        sources = {self._console.fileno(): self._console, self._reports.fileno(): self._reports}
        announced = ending = False
        while sources:
            watched = list(sources)
            if announced and terminal and not terminal.gone:
                watched.append(sys.stdin.fileno())
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise TimedOut
            wait = 60 if deadline is None else deadline - now
            readable, _, _ = select.select(watched, [], [], wait)
            for number in readable:
                self._serve(number, sources, terminal)
            if self.booted_after is not None and not announced:
                announced = True
                on_boot()
            if self.status is not None and not ending:
                ending = True
                deadline = time.monotonic() + POWER_OFF_SECONDS
        self._process.wait()

    def _serve(self, number, sources, terminal):
        if number not in sources:
            self._console.sendall(terminal.read())
            return
        try:
            data = sources[number].recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            del sources[number]
        elif sources[number] is self._reports:
            self._read_reports(data)
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
