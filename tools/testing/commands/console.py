# SPDX-License-Identifier: GPL-2.0-only
"""gondola console at a terminal, with a VM of which only the console can be used.

usage: console.py GONDOLA TEST
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

PATIENCE = 20
GREETING = {"gondola": {"protocol": 1, "name": "talks", "pid": 1}}
HOME = os.environ["GONDOLA_HOME"]
CONTROL = f"{HOME}/run/talks.control"
CONSOLE = f"{HOME}/run/talks.console"
STATUS = {"name": "talks", "state": "running", "console": "unix:" + CONSOLE, "ok": True}
COMMAND = [sys.argv[1], "console", "talks"]
F_OFD_SETLK = 37
LEAVE = b"\x01x"


def line(**words):
    return json.dumps(words).encode() + b"\n"


def answer(peer):
    peer.sendall(line(**GREETING))
    for _ in peer.makefile():
        peer.sendall(line(**STATUS))


def listen(path, talk):
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def accept():
        while True:
            peer, _ = server.accept()
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def serve(talk):
    """A VM of which talk() is the console: its lock is taken, and it answers."""
    lock = os.open(f"{HOME}/locks/talks.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    os.pwrite(lock, b"1\n", 0)
    listen(CONSOLE, talk)
    listen(CONTROL, answer)


def until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


class Terminal:
    """The user's side of a terminal, in which the console is the job in the foreground."""

    def __init__(self, talk, **streams):
        serve(talk)
        self.user, self.fd = pty.openpty()
        os.setsid()
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        fcntl.ioctl(self.fd, termios.TIOCSCTTY, 0)
        self.modes = termios.tcgetattr(self.fd)
        streams = {"stdin": self.fd, "stdout": self.fd, "stderr": self.fd} | streams
        self.job = subprocess.Popen(COMMAND, preexec_fn=self.enter, **streams)
        until(self.is_raw)

    def enter(self):
        os.setpgid(0, 0)
        os.tcsetpgrp(self.fd, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)

    def is_raw(self):
        return not termios.tcgetattr(self.fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_as_before(self):
        return termios.tcgetattr(self.fd) == self.modes

    def paste(self, data):
        """Whoever pastes looks at the screen, too."""
        end = time.monotonic() + PATIENCE
        while data:
            readable, writable, _ = select.select([self.user], [self.user], [], 1)
            if readable:
                os.read(self.user, 65536)
            if writable:
                data = data[os.write(self.user, data[:1024]):]
            assert time.monotonic() < end, f"{len(data)} bytes cannot be typed any more"

    def leave(self):
        self.paste(LEAVE)
        assert self.job.wait(PATIENCE) == 0
        assert self.is_as_before()


def pasted():
    """The VM reads nothing."""
    terminal = Terminal(lambda peer: time.sleep(1000))
    terminal.paste(b"z" * (1 << 20))
    terminal.leave()


def unread():
    """The VM writes, and no one reads what comes of it."""
    def talk(peer):
        with contextlib.suppress(ConnectionError):
            while True:
                peer.sendall(b"y" * 4096)

    reader, writer = os.pipe()
    terminal = Terminal(talk, stdout=writer)
    until(lambda: not select.select([], [writer], [], 0)[1])
    terminal.leave()
    os.close(reader)


def piped():
    """The VM reads when its socket and the console's own room are long full."""
    data = os.urandom(1 << 20)
    got = bytearray()

    def talk(peer):
        time.sleep(1)
        while len(got) < len(data):
            got.extend(peer.recv(65536))
        peer.close()

    serve(talk)
    subprocess.run(COMMAND, input=data, check=True, timeout=PATIENCE)
    assert got == data


def ended():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM,
                   signal.SIGUSR1, signal.SIGXCPU, signal.SIGABRT):
        child = os.fork()
        if not child:
            terminal = Terminal(lambda peer: time.sleep(1000))
            terminal.job.send_signal(number)
            assert terminal.job.wait(PATIENCE) == -number, f"{number} did not end it"
            assert terminal.is_as_before(), f"the modes after {number}"
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def stopped():
    terminal = Terminal(lambda peer: time.sleep(1000))
    for _ in range(2):
        terminal.job.send_signal(signal.SIGTSTP)
        _, status = os.waitpid(terminal.job.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert terminal.is_as_before(), "the modes while it is stopped"
        terminal.job.send_signal(signal.SIGCONT)
        until(terminal.is_raw)
    terminal.leave()


def hung_up():
    """Even if nohup ignores the signal: else no one else could use the console."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminal = Terminal(lambda peer: time.sleep(1000), stderr=subprocess.DEVNULL)
    os.close(terminal.user)
    terminal.job.wait(PATIENCE)


if __name__ == "__main__":
    # Each is the leader of a session, and a shell's child may be none.
    if os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    globals()[sys.argv[2]]()
