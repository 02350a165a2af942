# SPDX-License-Identifier: GPL-2.0-only
"""A command of GDB for guests of gondola that run Linux: source this file after "target remote"."""

import struct

import gdb

NOTE_SEGMENT = 4
BUILD_ID = 3


def build_id(path):
    """The build ID of a 64-bit ELF file, in hexadecimal digits, or ""."""
    with open(path, "rb") as f:
        head = f.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            raise gdb.GdbError("%s is no 64-bit ELF file" % path)
        table, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        f.seek(table)
        headers = f.read(size * count)
        for start in range(0, len(headers) - 55, size):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", headers, start)
            if kind == NOTE_SEGMENT:
                f.seek(offset)
                found = build_id_in(f.read(length))
                if found:
                    return found
    return ""


def build_id_in(notes):
    at = 0
    while at + 12 <= len(notes):
        name, words, kind = struct.unpack_from("<III", notes, at)
        start = at + 12 + (name + 3) // 4 * 4
        if kind == BUILD_ID and notes[at + 12:at + 15] == b"GNU":
            return notes[start:start + words].hex()
        at = start + (words + 3) // 4 * 4
    return ""


class LinuxSymbols(gdb.Command):
    """Load the symbols of the guest's kernel: gondola-symbols VMLINUX

They are moved as far as the guest's kernel was (KASLR). Symbols of another kernel are refused."""

    def __init__(self):
        super().__init__("gondola-symbols", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        argv = gdb.string_to_argv(argument)
        if len(argv) != 1:
            raise gdb.GdbError("usage: gondola-symbols VMLINUX")
        said = gdb.execute("monitor kernel", to_string=True)
        guest = dict(line.rsplit(" ", 1) for line in said.splitlines() if " " in line)
        if "moved by" not in guest:
            raise gdb.GdbError(said.strip())
        try:
            own = build_id(argv[0])
        except OSError as error:
            raise gdb.GdbError("%s: %s" % (argv[0], error.strerror)) from None
        if own != guest["build ID"]:
            raise gdb.GdbError("%s belongs to another kernel: its build ID is %s; the guest runs %s, %s"
                               % (argv[0], own or "unknown", guest["release"], guest["build ID"]))
        # Linux does not move variables of each processor: they are offsets.
        gdb.execute("add-symbol-file %s -o %s -s .data..percpu 0" % (argv[0], guest["moved by"]), from_tty)


LinuxSymbols()
