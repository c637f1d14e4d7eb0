# SPDX-License-Identifier: BSD-2-Clause
"""The frequency of this machine's TSC, which is that of an emulated host's, too.

QEMU passes the counter on as it is. A kernel that measures it against an emulated
8254, on a machine with other work, may be stopped between the start of the one and its
first look at the other: 482 MHz were found instead of 2596, and seconds passed five
times too fast in that host. So it is measured here, where a reading that was disturbed
is noticed, and the kernel is told.
"""

import ctypes
import mmap
import platform
import time

SPAN = 0.05  # seconds
READINGS = 50

# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
CODE = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"


def _best_reading(counter):
    """Returns nanoseconds and the counter at one time: of many pairs the closest one."""
    best = None
    for _ in range(READINGS):
        before = time.monotonic_ns()
        ticks = counter()
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, before, ticks)
    return best[1:]


def khz():
    """Returns the frequency in kHz."""
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with mmap.mmap(-1, mmap.PAGESIZE, prot=protection) as page:
        page.write(CODE)
        held = ctypes.c_char.from_buffer(page)
        counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(held))
        first, first_ticks = _best_reading(counter)
        time.sleep(SPAN)
        last, last_ticks = _best_reading(counter)
        del counter, held
    return (last_ticks - first_ticks) * 1_000_000 // (last - first)


def kernel_parameter():
    """Returns what tells a kernel the frequency; nothing where there is no TSC to read."""
    return f" tsc_early_khz={khz()}" if platform.machine() == "x86_64" else ""
