# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, in its own protocol."""

import json
import socket


class Qmp:
    """A connection to the monitor at a socket's path."""

    def __init__(self, path, patience=None):
        """Answers that take longer than @patience seconds are an OSError."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw", encoding="utf-8")
        self.events = []
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = json.loads(self.file.readline())
            if "event" in line:
                self.events.append(line["event"])
            elif "error" in line:
                raise OSError("%s: %s" % (command, line["error"]["desc"]))
            else:
                return line["return"]

    def for_people(self, command, cpu=0):
        """The lines that the monitor for people answers, asked about processor @cpu."""
        return self.ask("human-monitor-command",
                        **{"command-line": command, "cpu-index": cpu}).splitlines()
