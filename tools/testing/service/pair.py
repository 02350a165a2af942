# SPDX-License-Identifier: GPL-2.0-only
"""Two Debian hosts with Corosync and Pacemaker, and a power switch, which is this program.

They share a disk, and have networks of their own: the cluster's ring, one for moves, and one for guests.
"""

import glob
import os
import re
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

import image
import nodes
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.abspath(os.path.join(HERE, "../../.."))
NETS = ("ring", "move", "guests")
BUILD = os.path.realpath(os.environ.get("BUILD", os.path.join(TREE, "build")))
COROSYNC = """totem {
 version: 2
 cluster_name: test
 transport: knet
 token: 20000
 crypto_cipher: none
 crypto_hash: none
}
nodelist {
 node {
  ring0_addr: 10.0.0.1
  name: node1
  nodeid: 1
 }
 node {
  ring0_addr: 10.0.0.2
  name: node2
  nodeid: 2
 }
}
quorum {
 provider: corosync_votequorum
 two_node: 1
 wait_for_all: 1
}
logging {
 to_syslog: yes
}
"""
# What a node lacks after the disk: names, keys, networks, and the package.
SETUP = """set -e
n=%d
ip addr add 10.0.0.$n/24 dev eth0; ip link set eth0 up
ip addr add 10.0.1.$n/24 dev eth1; ip link set eth1 up
ip addr add 10.0.2.15/24 dev eth2; ip link set eth2 up
for i in 1 2; do echo "10.0.0.$i node$i"; echo "10.0.1.$i node$i-move"; done >> /etc/hosts
mkdir -p -m 700 ~root/.ssh
cp /srv/input/key ~root/.ssh/id_ed25519; cp /srv/input/key.pub ~root/.ssh/authorized_keys
chmod 600 ~root/.ssh/*
printf 'StrictHostKeyChecking no\\nLogLevel ERROR\\n' > ~root/.ssh/config
cp /srv/input/corosync.conf /etc/corosync/
install -m 755 /srv/input/fence_switch /usr/sbin/
dpkg -i /srv/input/gondola_*.deb
mkdir -p /lib/modules/$(uname -r)/updates
cp /srv/input/gondola.ko /lib/modules/$(uname -r)/updates/
depmod 2> /dev/null; modprobe gondola; udevadm settle
cd /srv/input
%s
systemctl start ssh corosync pacemaker || { journalctl -q -o cat -n 30 -u corosync; exit 1; }
"""
REPORT = """gondola list; crm_mon -1 -r -n
journalctl -q -o cat -n 40 -t pacemaker-controld -t pacemaker-execd -t pacemaker-fenced -t pacemaker-schedulerd
tail -n 5 /var/log/web*; grep -h 'migrate\\|exit-reason\\|vm(' /var/log/pacemaker/pacemaker.log | tail -n 30
tail -n 5 /run/gondola/*.log"""


class Failed(Exception):
    """What was said by what should have succeeded."""


class Switch(socketserver.ThreadingTCPServer):
    """The power switch: "off NAME" ends a host."""

    daemon_threads = True

    def __init__(self, hosts):
        self.hosts = hosts
        self.fenced = []
        super().__init__(("127.0.0.1", 0), Request)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Request(socketserver.StreamRequestHandler):
    def handle(self):
        action, _, name = self.rfile.readline().decode().strip().partition(" ")
        node = self.server.hosts.get(name)
        answer = "ok"
        if action in ("off", "reboot") and node:
            # Told first: who asks the host meanwhile learns why it does not answer.
            self.server.fenced.append(name)
            node.end()
        elif action in ("off", "reboot", "on"):
            answer = "no such host, or it cannot be switched on"
        elif action == "status" and node:
            answer = "on" if node.process.poll() is None else "off"
        self.wfile.write((answer + "\n").encode())


class Pair:
    """Both hosts, by name, and their switch."""

    def __init__(self, hosts, switch):
        self.hosts, self.switch = hosts, switch

    def boot(self):
        for node in self.hosts.values():
            node.boot(wait=False)
        for node in self.hosts.values():
            node.ready()

    def join(self, name, more):
        """Sets a host up, and starts its part of the cluster."""
        self.on(name, SETUP % (int(name[-1]), more), 600)

    def on(self, name, script, patience=300):
        status, said = self.hosts[name].run(script, patience)
        if status:
            raise Failed("%s: %s\nended with %d:\n%s" % (name, script, status, said))
        return said

    def until(self, what, patience=300):
        """Waits for @what() to be true."""
        end = time.monotonic() + patience
        while not what():
            if time.monotonic() > end:
                raise Failed("in vain for %d s: %s\n%s" % (patience, what.__doc__, self.report()))
            time.sleep(2)

    def alive(self):
        return [name for name, node in self.hosts.items() if node.process.poll() is None]

    def asked(self, name, script):
        """What it prints; nothing if it is switched off meanwhile."""
        try:
            return self.hosts[name].run(script)[1]
        except nodes.NodeError:
            if name not in self.switch.fenced:
                raise
            return ""

    def report(self):
        return "\n".join("%s: %s" % (name, self.asked(name, REPORT)) for name in self.alive())

    def homes(self, vm):
        """The hosts where it has a process that may run."""
        return [name for name in self.alive() if re.search(
            "^state +(running|paused|migrating|starting|committing)", self.asked(name, "gondola status " + vm),
            re.MULTILINE)]

    def online(self):
        """Waits until both are."""
        def both():
            """both are online"""
            return "node list" in self.hosts["node1"].run("crm_mon -1 | grep -i 'online.*node1.*node2' | "
                                                          "sed 's/^/node list/'")[1]
        self.until(both, 400)


def inputs(work, init, modules):
    """What each host gets; @init: of the guest, for whose @modules."""
    cache = image.Cache()
    guest = os.path.join(work, "guest")
    os.mkdir(guest)
    shutil.copy(os.path.join(HERE, init), os.path.join(guest, "init"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work + "/key"], check=True)
    with open(cache.stock_kernel().vmlinuz, "rb") as kernel:
        return glob.glob(BUILD + "/deb/gondola_*.deb") + [
            BUILD + "/gondola.ko", BUILD + "/service/guests/walk", os.path.join(HERE, "fence_switch"),
            work + "/key", work + "/key.pub", ("corosync.conf", COROSYNC.encode()), ("vmlinuz", kernel.read()),
            ("guest-initrd", image.guest_initrd(cache.base(), cache.stock_kernel(), guest, modules))]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def host(number, work, files, ports, forward):
    """A host: a disk is shared, and the networks whose two ports are named; @forward: ports to it, for QEMU."""
    more = ["-drive", "file=%s/shared,format=raw,if=none,id=shared,file.locking=off,cache=writeback" % work,
            "-device", "virtio-blk-pci,drive=shared,share-rw=on"]
    wires = ["socket,id=%s,localaddr=127.0.0.1:%d,udp=127.0.0.1:%d" % (name, pair[number - 1], pair[2 - number])
             for name, pair in ports.items()]
    # The third card is the way to the switch.
    wires.insert(2, "user,id=power" + forward)
    for card, wire in enumerate(wires, 1):
        more += ["-netdev", wire, "-device", "virtio-net-pci,netdev=%s,romfile=,mac=52:54:00:00:%02d:%02d" %
                 (re.search("id=([a-z]+)", wire)[1], card, number)]
    return nodes.Node("node%d" % number, os.path.join(work, "node%d" % number), files, more)


def run(prefix, guest, test, forward=lambda number: ""):
    """Boots two hosts with @guest, its init and modules; test(cluster, results); the status to exit with."""
    results = tap.Results()
    subprocess.run(["make", "-s", "-C", os.path.join(HERE, "../guests/tiny"), "O=" + BUILD + "/service"], check=True,
                   stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=BUILD) as work:
        with open(work + "/shared", "wb") as shared:
            shared.truncate(1 << 20)
        files, ports = inputs(work, *guest), {net: (free_port(), free_port()) for net in NETS}
        hosts = {"node%d" % number: host(number, work, files, ports, forward(number)) for number in (1, 2)}
        cluster = Pair(hosts, Switch(hosts))
        try:
            cluster.boot()
            test(cluster, results)
        except nodes.NodeError as error:
            results.result(False, "the hosts live", "%s\n%s" % (error, "\n".join(
                node.last_words() for node in hosts.values())))
        finally:
            for node in hosts.values():
                node.end()
    return results.end()
