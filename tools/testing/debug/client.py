#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends each packet that a debugger may send to a VM, and much that it may not; prints TAP.

usage: client.py ENGINE (in the test machine, beside the tiny guests)

The VM runs "loop", a 32-bit guest without paging. What it does while it is debugged is CODE, which
is written into its memory first. Nothing waits for a time: each answer is waited for.
"""

import os
import re
import socket
import subprocess
import sys

import tap

PATH = "/tmp/debug.sock"
PORT = 1234
AT = 0x200000
WORD = 0x201000
NOTE = 0x202000
# inc ecx; mov ecx, WORD; in al, 0x71; jmp AT
CODE = bytes.fromhex("41" "890d00102000" "e471" "ebf5")
STEPS = [AT + 1, AT + 7, AT + 9, AT]
NOWHERE = 0xd0000000
PACKET_MAX = 4096
EIP, EFLAGS, ECX, ST0, FCTRL, FTAG, XMM0, MXCSR, CR0 = 8, 9, 1, 16, 24, 26, 32, 40, 41
PATIENCE = 120	# seconds for one answer, on a computer that has other work


class Gone(Exception):
    """The other side has closed the connection."""


class Client:
    """One connection: packets, acknowledged unless @acks is cleared."""

    open = []

    def __init__(self, address=PATH):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.acks = True
        self.taken = b""
        Client.open.append(self)

    def close(self):
        self.socket.close()

    def byte(self):
        if not self.taken:
            self.taken = self.socket.recv(4096)
            if not self.taken:
                raise Gone()
        first, self.taken = self.taken[:1], self.taken[1:]
        return first

    def raw(self, data):
        self.socket.sendall(data)

    @staticmethod
    def frame(data):
        return b"$" + data + b"#%02x" % (sum(data) & 0xff)

    def answer(self):
        """The next packet, whose checksum must be right."""
        while self.byte() != b"$":
            pass
        data = b""
        while (byte := self.byte()) != b"#":
            data += byte
        told = self.byte() + self.byte()
        if int(told, 16) != sum(data) & 0xff:
            raise ValueError("checksum %r of %r" % (told, data))
        if self.acks:
            try:
                self.raw(b"+")
            except BrokenPipeError:
                pass	# its last answer
        return data.decode("latin-1")

    def ask(self, words):
        try:
            self.raw(self.frame(words.encode("latin-1")))
        except BrokenPipeError:
            raise AssertionError("let go: " + self.answer()) from None
        if self.acks and (ack := self.byte()) != b"+":
            raise ValueError("%r for %s" % (ack, words))
        return self.answer()

    def monitor(self, words):
        said = self.ask("qRcmd," + words.encode().hex())
        return said if said in ("OK", "E01") else bytes.fromhex(said).decode()

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask("p%x" % number)), "little")

    def set_register(self, number, value, size=4):
        return self.ask("P%x=%s" % (number, value.to_bytes(size, "little").hex()))

    def read(self, address, size):
        return self.ask("m%x,%x" % (address, size))

    def go(self, words="c"):
        """Lets the guest run, and does not wait."""
        self.raw(self.frame(words.encode()))
        if self.acks:
            self.byte()

    def interrupt(self):
        self.raw(b"\x03")
        return self.answer()

    def detach(self):
        said = self.ask("D")
        self.close()
        return said


def gondola(*words):
    """(status, what it printed)"""
    done = subprocess.run(["gondola", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def state():
    return re.search(r"^state +(\w+)", gondola("status", "vm1")[1], re.MULTILINE).group(1)


class Tests:
    """The tests, in the order in which they are written; each leaves the guest running."""

    def __init__(self, engine):
        self.engine = engine
        self.results = tap.Results()

    def equal(self, got, expected, what=""):
        if got != expected:
            raise AssertionError("%s: %r, not %r" % (what, got, expected))

    def has(self, got, words):
        if words not in got:
            raise AssertionError("%r is not in %r" % (words, got))

    def attach(self):
        client = Client()
        self.has(client.ask("qSupported:swbreak+"), "PacketSize=%x" % PACKET_MAX)
        return client

    def still_runs(self):
        """The guest counts on, in its memory: seen by two looks with a "continue" in between."""
        self.equal(state(), "running")
        client = Client()
        before = client.read(WORD, 4)
        for _ in range(1000):
            client.go()
            client.interrupt()
            if client.read(WORD, 4) != before:
                break
        else:
            raise AssertionError("the guest does nothing")
        client.detach()

    # ---- each packet -----------------------------------------------------------------------

    def test_description(self):
        """what it says of itself: qSupported, qXfer in parts, QStartNoAckMode"""
        client = self.attach()
        xml, said = "", "m"
        while said[0] == "m":
            said = client.ask("qXfer:features:read:target.xml:%x,40" % len(xml.encode()))
            xml += re.sub(r"\}(.)", lambda m: chr(ord(m.group(1)) ^ 0x20), said[1:])
        self.has(xml, "<architecture>i386</architecture>")
        self.has(xml, '<reg name="eip" bitsize="32" type="code_ptr"/>')
        self.has(xml, '<field name="IF" start="9" end="9"/>')
        self.equal(xml[-9:], "</target>")
        self.equal(client.ask("qXfer:features:read:other.xml:0,40"), "")
        self.equal(client.ask("QStartNoAckMode"), "OK")
        client.acks = False
        self.equal(client.ask("qAttached"), "1")
        self.equal(client.ask("D"), "OK")

    def test_threads(self):
        """threads are vCPUs: qfThreadInfo, qC, qThreadExtraInfo, T, H, ?"""
        client = self.attach()
        self.equal(client.ask("qfThreadInfo"), "m1")
        self.equal(client.ask("qsThreadInfo"), "l")
        self.equal(client.ask("qC"), "QC1")
        self.equal(bytes.fromhex(client.ask("qThreadExtraInfo,1")), b"vCPU 0")
        for words, said in (("T1", "OK"), ("T2", "E01"), ("Tx", "E01"), ("Hg1", "OK"),
                            ("Hg0", "OK"), ("Hc-1", "OK"), ("Hg2", "E01"), ("Hx1", "E01")):
            self.equal(client.ask(words), said, words)
        self.equal(client.ask("?"), "T05thread:1;")
        client.detach()

    def test_memory(self):
        """memory: m and M, over pages, physical ones too; what is not there"""
        client = self.attach()
        self.equal(client.ask("M%x,%x:%s" % (AT, len(CODE), CODE.hex())), "OK")
        self.equal(client.read(AT, len(CODE)), CODE.hex())
        self.equal(client.ask("M%x,4:01020304" % (WORD - 2)), "OK")
        self.equal(client.read(WORD - 2, 4), "01020304")
        self.equal(client.monitor("phys on"), "addresses of memory are physical\n")
        self.equal(client.read(WORD - 2, 4), "01020304")
        self.equal(client.read(NOWHERE, 4), "E0e")
        self.equal(client.monitor("phys off"), "addresses of memory are virtual\n")
        self.equal(client.read(NOWHERE, 4), "E0e")
        self.equal(client.read(0x100000000, 4), "E0e")
        self.equal(client.ask("M%x,1:00" % NOWHERE), "E0e")
        # The end of memory: what is there is told, and nothing is written.
        self.equal(len(client.read(0x800000 - 2, 4)), 4)
        self.equal(client.ask("M%x,4:00000000" % (0x800000 - 2)), "E0e")
        for words in ("m", "m1", "m,1", "m1,", "mx,1", "M%x,2:00" % WORD, "M%x,1:0g" % WORD,
                      "M%x,1:0000" % WORD, "m%x,1x" % WORD, "m11111111111111111,1"):
            self.equal(client.ask(words), "E01", words)
        # No more than a packet holds.
        self.equal(len(client.read(AT, 0xffffffff)), PACKET_MAX)
        client.detach()

    def test_registers(self):
        """registers: p, P, g, G, those of the FPU too"""
        client = self.attach()
        self.equal(client.set_register(EIP, AT), "OK")
        self.equal(client.set_register(ECX, 0x12345678), "OK")
        self.equal(client.register(EIP), AT)
        one = bytes.fromhex("0000000000000080ff3f")
        for number, value, size in ((XMM0, 0x0123456789abcdef << 64 | 5, 16), (MXCSR, 0x1fa0, 4),
                                    (FCTRL, 0x27f, 4), (FTAG, 0xfffc, 4),
                                    (ST0, int.from_bytes(one, "little"), 10)):
            self.equal(client.set_register(number, value, size), "OK", number)
            self.equal(client.register(number), value, number)
        # A reserved bit of MXCSR.
        self.equal(client.set_register(MXCSR, 0x10000), "E01")
        self.equal(client.register(MXCSR), 0x1fa0)
        whole = client.ask("g")
        self.equal(whole[8 * EIP:8 * EIP + 8], AT.to_bytes(4, "little").hex())
        self.equal(client.ask("G" + whole), "OK")
        self.equal(client.ask("g"), whole)
        for words in ("p1000", "p", "px", "P1=", "P1=00", "P1", "P1000=00000000", "P1=0000000g",
                      "G00", "G" + whole + "00"):
            self.equal(client.ask(words), "E01", words)
        self.equal(client.register(ECX), 0x12345678)
        # The bit that no processor clears.
        self.equal(client.set_register(EFLAGS, 0), "OK")
        self.equal(client.register(EFLAGS), 2)
        self.equal(client.set_register(EFLAGS, 0x202), "OK")
        # Paging without protection: the module refuses it, and CR0 stays.
        cr0 = client.register(CR0)
        self.equal(client.set_register(CR0, 0x80000010), "E01")
        self.equal(client.register(CR0), cr0)
        client.detach()
        self.still_runs()

    def test_steps(self):
        """steps are exact: s and vCont;s, over a read of a port"""
        client = self.attach()
        client.set_register(EIP, AT)
        for i in range(12):
            said = client.ask(("s", "vCont;s:1", "vCont;s:1;c", "vCont;S05:1")[i % 4])
            self.equal(said, "T05thread:1;")
            self.equal(client.register(EIP), STEPS[i % 4], "step %d" % i)
        self.equal(client.ask("vCont?"), "vCont;c;C;s;S")
        for words in ("vCont", "vCont;", "vCont;x", "vCont;s:9", "vCont;s:1x", "vCont;C", "c1", "s1",
                      "vCont;s:11111111111111111111111111"):
            self.equal(client.ask(words), "E01", words)
        client.detach()
        self.still_runs()

    def test_breakpoints(self):
        """software breakpoints: Z0, c, z0; detach and a client that vanishes take them away"""
        client = self.attach()
        self.equal(client.ask("Z0,%x,1" % (AT + 7)), "OK")
        self.equal(client.ask("Z0,%x,1" % (AT + 7)), "OK")
        for _ in range(3):
            self.equal(client.ask("c"), "T05thread:1;swbreak:;")
            self.equal(client.register(EIP), AT + 7)
            self.equal(client.ask("z0,%x,1" % (AT + 7)), "OK")
            self.equal(client.ask("s"), "T05thread:1;")
            self.equal(client.ask("Z0,%x,1" % (AT + 7)), "OK")
        self.equal(client.ask("z0,%x,1" % AT), "E01")
        self.equal(client.ask("Z0,%x,1" % NOWHERE), "E0e")
        for words in ("Z0", "Z0,", "Z0,x,1", "Z0,%x" % AT, "z", "Z0,%x,1x" % AT):
            self.equal(client.ask(words), "E01", words)
        client.close()
        client = self.attach()
        self.equal(client.read(AT, len(CODE)), CODE.hex(), "after a client that vanished")
        self.equal(client.ask("Z0,%x,1" % AT), "OK")
        client.detach()
        self.still_runs()
        client = self.attach()
        self.equal(client.read(AT, len(CODE)), CODE.hex(), "after detach")
        # As many as there is room for, and one more.
        said = [client.ask("Z0,%x,1" % (WORD + i)) for i in range(65)]
        self.equal(said, ["OK"] * 64 + ["E0e"])
        client.detach()
        self.still_runs()

    def test_watchpoints(self):
        """watchpoints: Z1, Z2, Z4, or a refusal in words where the processor arms none"""
        client = self.attach()
        self.equal(client.ask("Z3,%x,4" % WORD), "")
        said = client.ask("Z2,%x,4" % WORD)
        if self.engine == "svm":
            self.equal(said, "E.this processor arms no breakpoints for guests")
        else:
            self.equal(said, "OK")
            self.equal(client.ask("c"), "T05thread:1;watch:%x;" % WORD)
            self.equal(client.register(EIP), AT + 7)
            self.equal(client.ask("z2,%x,4" % WORD), "OK")
            self.equal(client.ask("Z1,%x,1" % (AT + 9)), "OK")
            self.equal(client.ask("c"), "T05thread:1;hwbreak:;")
            self.equal(client.register(EIP), AT + 9)
            self.equal(client.ask("z1,%x,1" % (AT + 9)), "OK")
            self.equal([client.ask("Z4,%x,4" % (WORD + 4 * i)) for i in range(5)],
                       ["OK"] * 4 + ["E1c"])
            self.equal(client.ask("c"), "T05thread:1;awatch:%x;" % WORD)
        for words in ("Z2,%x,3" % WORD, "Z2,%x,4" % (WORD + 1), "Z1,%x,2" % AT, "Z2,%x,100" % WORD):
            self.equal(client.ask(words), "E16", words)
        self.equal(client.ask("z2,%x,8" % WORD), "E01")
        client.detach()
        self.still_runs()

    def test_interrupt(self):
        """Ctrl-C stops the guest, and k lets it go"""
        client = self.attach()
        client.go()
        self.equal(client.interrupt(), "T02thread:1;")
        # Where nothing runs it is nothing.
        client.raw(b"\x03")
        self.equal(client.ask("qC"), "QC1")
        client.go("vCont;c")
        self.equal(client.interrupt(), "T02thread:1;")
        client.raw(client.frame(b"k"))
        try:
            while True:
                client.byte()
        except Gone:
            pass
        self.still_runs()

    def test_monitor(self):
        """monitor: each command, and what is none"""
        client = self.attach()
        for words in ("walk", "info tlb", "kernel", "dr", "exits", "phys", "help"):
            self.has(client.monitor("help"), words)
        self.has(client.monitor("walk 0x200000"), "physical 0x200000")
        self.has(client.monitor("walk zzz"), "is not an address")
        self.has(client.monitor("walk"), "is not an address")
        self.has(client.monitor("info tlb"), "paging is off")
        self.has(client.monitor("dr"), "dr7 0x400")
        self.has(client.monitor("exits"), "0x2000")
        self.has(client.monitor("reboot"), "unknown: reboot")
        self.equal(client.monitor("x" * 200), "E01")
        self.equal(client.ask("qRcmd,0"), "E01")
        self.equal(client.ask("qRcmd,zz"), "E01")
        client.detach()

    def test_kernel(self):
        """monitor kernel: what a guest's kernel says of itself, believed as far as it can be shown"""
        client = self.attach()
        self.equal(client.monitor("kernel"), "no kernel in this guest describes itself (VMCOREINFO)\n")
        for words, said in (
                (b"OSRELEASE=6.1.0\nBUILD-ID=00ff\nKERNELOFFSET=1c00000\n",
                 "release 6.1.0\nbuild ID 00ff\nmoved by 0x1c00000\n"),
                (b"OSRELEASE=6.1\x1b[2J\nXKERNELOFFSET=1", "release 6.1?[2J\nbuild ID unknown\nmoved by 0x0\n"),
                (b"OSRELEASE=" + b"9" * 500, "release %s\nbuild ID unknown\nmoved by 0x0\n" % ("9" * 95))):
            # A note as Linux has it, at the start of a page: lengths, type, name, words.
            note = b"".join(n.to_bytes(4, "little") for n in (11, len(words), 0)) + b"VMCOREINFO\0\0" + words
            self.equal(client.ask("M%x,%x:%s" % (NOTE, len(note), note.hex())), "OK")
            self.equal(client.monitor("kernel"), said)
        client.ask("M%x,4:00000000" % NOTE)
        client.detach()

    # ---- bad input ----------------------------------------------------------------------------

    def test_unknown(self):
        """packets that there are not are answered by nothing"""
        client = self.attach()
        for words in ("", "X0,0:", "qCRC:0,1", "vKill;1", "!", "R00", "vFile:open", "gg", "kk",
                      "QStartNoAckModex", "D;1", "\x80\xff"):
            self.equal(client.ask(words), "", words)
        client.detach()

    def test_garbage(self):
        """bad checksums, garbage, and packets that are too long"""
        client = self.attach()
        client.raw(b"$g#00")
        self.equal(client.byte(), b"-")
        client.raw(bytes(byte for byte in range(256) if byte not in b"$\x03-") * 16)
        client.raw(b"$" + b"a" * 20000 + b"#00")
        self.equal(client.byte(), b"-")
        client.raw(b"$m0,$qC#b4")
        self.equal(client.byte(), b"+")
        self.equal(client.answer(), "QC1")
        # The last answer once more, for one who did not understand it.
        client.raw(b"-")
        self.equal(client.answer(), "QC1")
        client.detach()
        self.still_runs()

    def test_again(self):
        """a packet that a client sends again, since the answer takes long, is answered once"""
        client = Client()
        framed = client.frame(b"qSupported:swbreak+")
        client.raw(framed * 3)
        self.has(client.answer(), "PacketSize=")
        self.equal(client.ask("qC"), "QC1")
        # Once the answer has arrived, the same packet is another question.
        self.equal([client.ask("qC") for _ in range(2)], ["QC1"] * 2)
        # Answers to a step: had each of three been taken, the guest would be further.
        client.set_register(EIP, AT)
        client.raw(client.frame(b"s") * 3)
        self.equal(client.answer(), "T05thread:1;")
        self.equal(client.register(EIP), STEPS[0])
        client.detach()
        self.still_runs()

    def test_second(self):
        """a second client is refused in words, and the first is not disturbed"""
        client, second = self.attach(), Client()
        self.equal(second.answer(), "E.it has a debugger already")
        try:
            second.byte()
            raise AssertionError("it is not let go")
        except (Gone, ConnectionResetError):
            pass
        status, said = gondola("gdb", "vm1")
        self.equal(status, 14, said)
        self.has(said, "it has a debugger already")
        self.equal(client.ask("qC"), "QC1")
        client.detach()

    def test_moving(self):
        """a VM with a debugger is not suspended and not migrated; without one it is again"""
        client = self.attach()
        for words in (["suspend", "vm1"], ["migrate", "vm1", "exec:cat"]):
            status, said = gondola(*words)
            self.equal(status != 0, True, said)
            self.has(said, "has a debugger: detach it first")
        client.go()
        status, said = gondola("suspend", "vm1")
        self.has(said, "has a debugger: detach it first")
        client.interrupt()
        client.detach()
        self.still_runs()
        self.equal(gondola("suspend", "vm1")[0], 0)
        status, said = gondola("gdb", "vm1")
        self.equal(status, 20, said)
        status, said = gondola("resume", "vm1", "--detach")
        self.equal(status, 0, said)
        self.still_runs()

    def test_vanishing(self):
        """clients that vanish: in a packet, while the guest runs, with answers unread"""
        for part in (b"", b"$", b"$g", b"$g#6", b"$Z0,%x,1#" % AT, b"$}"):
            client = self.attach()
            client.raw(part)
            client.close()
            self.still_runs()
        client = self.attach()
        client.ask("Z0,%x,1" % WORD)
        client.go()
        client.close()
        self.still_runs()
        # The next one comes at once.
        for _ in range(50):
            self.attach().close()
        self.still_runs()
        # One that asks and never listens is let go.
        client = self.attach()
        client.socket.setblocking(False)
        try:
            while True:
                client.raw((client.frame(b"g") + client.frame(b"?")) * 8)
        except OSError:
            pass
        client.close()
        self.still_runs()

    def test_places(self):
        """--gdb: a port of this host, one that is taken, and places that are none"""
        args = ["--kernel", "guests/loop", "--append", "sti", "--mem", "8M", "--console",
                "/tmp/console2"]
        in_use = "in use"
        try:
            taken = socket.socket()
            taken.bind(("127.0.0.1", PORT + 1))
            taken.listen()
        except OSError:
            # The kernel of User Mode Linux has no TCP.
            in_use = "Address family not supported"
        for place, status, words in (
                ("tcp:127.0.0.1:%d" % (PORT + 1), 14, in_use),
                ("tcp:0.0.0.0:%d" % PORT, 2, "none of tcp:127.0.0.1:PORT and unix:PATH"),
                ("tcp:127.0.0.1:0", 2, "none of"), ("tcp:127.0.0.1:65536", 2, "none of"),
                ("tcp:127.0.0.1:", 2, "none of"), ("tcp:127.0.0.1:12x", 2, "none of"),
                ("unix:", 2, "a socket's path"), ("unix:/" + "x" * 200, 2, "a socket's path"),
                ("unix:/nowhere/sock", 14, "/nowhere/sock"), (PATH, 2, "none of")):
            got, said = gondola("run", *args, "--gdb", place)
            self.equal(got, status, said)
            self.has(said, words)
        if in_use != "in use":
            return
        self.equal(gondola("create", "vm2", *args, "--gdb", "tcp:127.0.0.1:%d" % PORT)[0], 0)
        self.equal(gondola("start", "vm2", "--detach")[0], 0)
        client = Client(("127.0.0.1", PORT))
        self.equal(client.ask("qC"), "QC1")
        self.equal(client.detach(), "OK")
        gondola("kill", "vm2")
        self.equal(gondola("delete", "vm2")[0], 0)

    def test_end(self):
        """a VM that ends lets its client go"""
        client = self.attach()
        client.go()
        gondola("kill", "vm1")
        try:
            client.answer()
            raise AssertionError("an answer")
        except (Gone, ConnectionResetError):
            pass
        self.equal(gondola("gdb", "vm1")[0], 20)
        self.equal(os.path.exists(PATH), False)
        self.equal(gondola("delete", "vm1")[0], 0)

    def run(self):
        status, said = gondola("create", "vm1", "--kernel", "guests/loop", "--append", "sti", "--mem", "8M",
                               "--engine", self.engine, "--console", "/tmp/console", "--gdb", "unix:" + PATH)
        if status == 0:
            status, said = gondola("start", "vm1", "--detach")
        self.results.result(status == 0, "debug: a VM with --gdb starts", said)
        for name, test in vars(Tests).items():
            if not name.startswith("test_"):
                continue
            detail = ""
            try:
                test(self)
            except Exception as error:  # pylint: disable=broad-except
                detail = "line %d: %s: %s" % (error.__traceback__.tb_next.tb_lineno if
                                              error.__traceback__.tb_next else 0,
                                              type(error).__name__, error)
            for client in Client.open:
                client.close()
            Client.open.clear()
            self.results.result(not detail, "debug: " + test.__doc__, detail)
        return self.results.end()


if __name__ == "__main__":
    sys.exit(Tests(sys.argv[1]).run())
