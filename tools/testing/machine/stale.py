# SPDX-License-Identifier: GPL-2.0-only
"""Frees a processor of QEMU that executes a breakpoint which is no longer there.

When Linux patches its text, a breakpoint stands there for a moment. QEMU 7.2 may translate it while
another processor writes the final byte, and keeps that translation until the text is written again. Linux
6.1 finds no breakpoint in memory, returns to the instruction, and so on for ever, with interrupts off.
Here the same byte is written once more.
"""

import collections
import os
import re
import time

import gdbstub
import qmp

INTERVAL = 2		# seconds between two looks
LOOKS = 12		# at a processor that seems to stand still
BREAKPOINT = b"\xcc"


class Watch:
    """Looks at the processors of one machine now and then."""

    def __init__(self, monitor, stub):
        """@monitor: the path of a QMP socket that nobody else uses; @stub: a path for the debugger stub."""
        self.monitor, self.stub = monitor, stub
        self.line = None
        self.before = set()
        self.next = time.monotonic() + INTERVAL
        self.freed = []

    def look(self):
        """To be called often."""
        if time.monotonic() < self.next:
            return
        try:
            if self.line is None:
                self.line = qmp.Qmp(self.monitor, patience=10)
            found = self.suspects()
            # One that stands longer than a busy stretch of a boot: it was here at the last look, too.
            for cpu, addresses in found:
                if self.before & {(cpu, address) for address in addresses}:
                    self.write_again(cpu, addresses)
            self.before = {(cpu, address) for cpu, addresses in found for address in addresses}
        except (OSError, ValueError):
            pass  # it is about to end, or is busy: the next look may find more
        self.next = time.monotonic() + INTERVAL

    def places(self):
        """[address] of the processors that run with interrupts off; None for the others."""
        text = "\n".join(self.line.for_people("info registers -a"))
        return [int(rip, 16) if not int(flags, 16) & 0x200 and halted == "0" else None
                for rip, flags, halted in re.findall(r"[RE]IP=(\w+) [RE]FL=(\w+).* HLT=(\d)", text)]

    def suspects(self):
        """[(processor, [address])] of those that come to few instructions again and again, interrupts off."""
        looks = [self.places()]
        if not any(looks[0]):
            return []
        for _ in range(LOOKS - 1):
            time.sleep(0.02)
            looks.append(self.places())
        found = []
        for cpu, seen in enumerate(zip(*looks)):
            often = [address for address, times in collections.Counter(seen).items() if times >= LOOKS // 4]
            # It is in the breakpoint's handler in between: a loop of one instruction is none.
            if often and None not in seen and len(set(seen)) > 1:
                found.append((cpu, often))
        return found

    def write_again(self, cpu, addresses):
        """Writes the bytes at @addresses, as @cpu sees them, over themselves, but for breakpoints."""
        if os.path.exists(self.stub):
            os.unlink(self.stub)
        self.line.for_people("gdbserver unix:%s,server=on,wait=off" % self.stub)
        try:
            stub = gdbstub.Stub(self.stub, 10)
            stub.good("Hgp1.%x" % (cpu + 1))
            for address in addresses:
                byte = stub.read(address, 1)
                if byte != BREAKPOINT:
                    stub.good("M%x,1:%s" % (address, byte.hex()))
                    self.freed.append("processor %d at %#x" % (cpu, address))
            stub.detach()
        finally:
            self.line.for_people("gdbserver none")
            # A client that gave up leaves the machine stopped.
            self.line.ask("cont")
