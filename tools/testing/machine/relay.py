# SPDX-License-Identifier: GPL-2.0-only
"""The end of a serial line of Bochs' as a Unix socket, for one client after the other.

Bochs has a TCP port for it, and does not start before somebody has connected; what is connected once must
stay so.
"""

import select
import socket
import threading


def serve(path, line):
    """Connects the clients of the socket @path with @line, a socket, as long as this process lives."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    threading.Thread(target=accept_all, args=(listener, line), daemon=True).start()


def accept_all(listener, line):
    while True:
        client, _ = listener.accept()
        with client:
            carry(client, line)


def carry(client, line):
    """Until one of them hangs up."""
    other = {client: line, line: client}
    try:
        while True:
            for source in select.select(list(other), [], [])[0]:
                data = source.recv(4096)
                if not data:
                    return
                other[source].sendall(data)
    except OSError:
        return
