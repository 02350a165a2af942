# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's own debugger stub: breakpoints, single steps and memory of a machine, and nothing else."""

import re
import socket

RIP, RSP = 16, 7


class Stub:
    """A connection to the stub at a socket's path; the machine stands still from then on."""

    def __init__(self, path, patience):
        """No answer within @patience seconds is a TimeoutError."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        self.socket.connect(path)
        self.taken = b""
        # The machine stops for whoever connects, and may say so of itself before it is asked.
        self.send("?")
        while not (answer := self.receive()).startswith("T05"):
            pass
        self.stopped(answer)

    def byte(self):
        if not self.taken:
            self.taken = self.socket.recv(65536)
            if not self.taken:
                raise ConnectionError("the machine has ended")
        first, self.taken = self.taken[:1], self.taken[1:]
        return first

    def send(self, words):
        data = words.encode()
        self.socket.sendall(b"$%s#%02x" % (data, sum(data) % 256))

    def receive(self):
        while self.byte() != b"$":
            pass
        data = b""
        while (byte := self.byte()) != b"#":
            data += byte
        self.byte()
        self.byte()
        self.socket.sendall(b"+")
        return data.decode()

    def ask(self, words):
        self.send(words)
        return self.receive()

    def good(self, words):
        answer = self.ask(words)
        if answer != "OK":
            raise OSError("%s: %s" % (words, answer))

    def insert(self, address):
        self.good("Z0,%x,1" % address)

    def remove(self, address):
        self.good("z0,%x,1" % address)

    def step(self):
        """One instruction of the processor that stopped; where it stands then."""
        self.stopped(self.ask("vCont;s:%s" % self.thread))
        return self.rip()

    def go(self):
        """Until a breakpoint; where it is."""
        self.stopped(self.ask("c"))
        return self.rip()

    def stopped(self, answer):
        found = re.match(r"T05thread:([0-9a-f.p]+);", answer)
        if not found:
            raise OSError("the machine stopped with " + answer)
        self.thread = found.group(1)
        self.good("Hg" + self.thread)

    def register(self, number):
        """One of the general ones, which come first of all, 64 bits each."""
        return int.from_bytes(bytes.fromhex(self.ask("g"))[8 * number:8 * number + 8], "little")

    def rip(self):
        return self.register(RIP)

    def read(self, address, count):
        answer = self.ask("m%x,%x" % (address, count))
        if re.match(r"E\d\d$", answer):
            raise OSError("no memory at %#x" % address)
        return bytes.fromhex(answer)

    def word(self, address):
        return int.from_bytes(self.read(address, 8), "little")

    def detach(self):
        self.ask("D")
        self.socket.close()
