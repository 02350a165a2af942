# SPDX-License-Identifier: GPL-2.0-only
"""How fast this machine's TSC runs, which is what QEMU gives to a guest without --icount."""

import ctypes
import mmap
import platform
import time

# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")


def sample(read):
    """A time in ns and the TSC at it: of several readings the one that was disturbed least."""
    best = None
    for _ in range(9):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        ticks = read()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        if best is None or after - before < best[0]:
            best = after - before, (before + after) // 2, ticks
    return best[1:]


def khz():
    """Its frequency, None where there is none; two calls differ by less than 20 ppm."""
    if platform.machine() != "x86_64":
        return None
    try:
        code = mmap.mmap(-1, mmap.PAGESIZE,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    code.write(RDTSC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)
    start, first = sample(read)
    time.sleep(0.2)
    end, last = sample(read)
    return round((last - first) * 1000000 / (end - start))
