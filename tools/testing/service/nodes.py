# SPDX-License-Identifier: GPL-2.0-only
"""Debian hosts with systemd, Corosync and Pacemaker, in QEMU, and a shell on each.

The disk is a fresh Debian 12, kept in the cache; nothing of gondola's is on it. It boots to the kernel of the
installed headers, for which the module was built. A host gets the files of "input" below /srv/input.
"""

import base64
import hashlib
import io
import os
import socket
import subprocess
import tarfile
import time

import emulator
import image
import suites
import tsc

SUITE = "bookworm"
INCLUDED = ("systemd-sysv,udev,dbus,login,passwd,kmod,iproute2,procps,busybox-static,openssh-server,"
            "corosync,pacemaker,pacemaker-cli-utils,resource-agents,libxml2-utils,crmsh,prometheus-node-exporter,"
            "libjson-c5,libslirp0,libseccomp2,libzstd1,zlib1g")
# Before systemd has its turn: what the disk, networks and lines need.
MODULES = "virtio_pci,virtio_blk,virtio_net,ext4,af_packet,tun,bridge,softdog"
INIT = """#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
for module in %s; do modprobe $module; done
until [ -b /dev/vda ]; do sleep 0.1; done
mkdir /system
mount -t ext4 /dev/vda /system || exec sh
mkdir -p /system/srv/input /system/lib/modules
tar -xf /dev/vdb -C /system/srv/input
cp -r /lib/modules/* /system/lib/modules/
umount /proc
mount --move /dev /system/dev
exec switch_root /system /sbin/init
"""
# Each line is a script, by base64. After what it printed come 0x1e and its status.
SHELL = """#!/bin/bash
stty -F /dev/ttyS1 raw -echo
exec 3<> /dev/ttyS1
printf '\\036ready\\n' >&3
while IFS= read -r line <&3; do
	echo "$line" | base64 -d > /tmp/script
	bash /tmp/script > /tmp/said 2>&1 < /dev/null
	status=$?
	cat /tmp/said >&3
	printf '\\036%d\\n' $status >&3
done
"""
UNIT = """[Unit]
Description=A shell for tests
After=basic.target
[Service]
ExecStart=/usr/local/sbin/test-shell
KillMode=process
[Install]
WantedBy=multi-user.target
"""
CUSTOMIZE = """set -eu
root=$1
cp "$2/unit" "$root/etc/systemd/system/test-shell.service"
install -m 755 "$2/shell" "$root/usr/local/sbin/test-shell"
chroot "$root" systemctl --quiet enable test-shell
chroot "$root" systemctl --quiet disable corosync pacemaker ssh prometheus-node-exporter
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer getty.target
printf '/dev/vda / ext4 errors=remount-ro 0 1\\n' > "$root/etc/fstab"
mkdir -p "$root/var/log/journal"
"""


class NodeError(Exception):
    """A host did not do what every host does."""


def make_disk(entry):
    os.mkdir(entry)
    os.chmod(entry, 0o777)
    for name, text in (("unit", UNIT), ("shell", SHELL), ("customize", CUSTOMIZE)):
        with open(os.path.join(entry, name), "w", encoding="ascii") as f:
            f.write(text)
    done = subprocess.run(
        ["nice", "mmdebstrap", "--quiet", "--variant=minbase", "--include=" + INCLUDED,
         "--customize-hook=sh '%s/customize' \"$1\" '%s'" % (entry, entry), SUITE, entry + "/root.tar",
         "deb [signed-by=%s] %s %s main" % (suites.KEYRING, suites.mirror(), SUITE)],
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise image.ImageError("no disk of %s:\n%s" % (SUITE, done.stdout[-3000:]))
    image.run("fakeroot", "sh", "-eu", "-c", """cd "$1" && mkdir root && tar -xf root.tar -C root
        truncate -s 2G disk && /sbin/mke2fs -q -t ext4 -d root disk
        rm -rf root root.tar customize unit shell""", "make-disk", entry)
    os.chmod(entry, 0o755)


def disk():
    digest = hashlib.sha256((INCLUDED + UNIT + SHELL + CUSTOMIZE).encode()).hexdigest()[:12]
    return os.path.join(image.Cache().get("nodes-%s-%s" % (SUITE, digest), make_disk), "disk")


def initrd(path):
    cache = image.Cache()
    with open(path, "wb") as out, open(os.path.join(cache.base(), "busybox.cpio"), "rb") as f:
        out.write(f.read())
        cpio = image.Cpio(out)
        cpio.data("init", (INIT % MODULES.replace(",", " ")).encode(), 0o755)
        image.add_modules(cpio, cache.stock_kernel(), MODULES)
        cpio.end()


class Node:
    """A host that runs. @work: its directory; @files: paths for /srv/input, or (name, bytes); @more: of QEMU."""

    def __init__(self, name, work, files, more=(), memory=1024):
        self.name = name
        self.work = work
        os.makedirs(work, exist_ok=True)
        with tarfile.open(self.path("input"), "w") as tar:
            for item in files:
                if isinstance(item, tuple):
                    member = tarfile.TarInfo(item[0])
                    member.size, member.mode = len(item[1]), 0o755
                    tar.addfile(member, io.BytesIO(item[1]))
                else:
                    tar.add(item, os.path.basename(item))
        initrd(self.path("initrd"))
        khz = tsc.khz()
        self.argv = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "EPYC,+svm", "-m", str(memory),
                     "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none",
                     "-kernel", image.Cache().stock_kernel().vmlinuz, "-initrd", self.path("initrd"),
                     "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off oops=panic panic=-1 "
                     "systemd.show_status=no tsc=reliable systemd.hostname=" + name +
                     (" tsc_early_khz=%d" % khz if khz else ""),
                     "-drive", "file=%s,format=raw,if=none,id=disk,snapshot=on" % disk(),
                     "-device", "virtio-blk-pci,drive=disk",
                     "-drive", "file=%s,format=raw,if=none,id=input,readonly=on" % self.path("input"),
                     "-device", "virtio-blk-pci,drive=input",
                     "-serial", "file:" + self.path("console"),
                     "-chardev", "socket,id=shell,path=%s,server=on,wait=off" % self.path("shell"),
                     "-serial", "chardev:shell"] + list(more)
        self.process = self.line = None
        self.rest = b""

    def path(self, name):
        return os.path.join(self.work, name)

    def boot(self, wait=True):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, preexec_fn=emulator.die_with_parent)
        for _ in range(100):
            try:
                self.line = socket.socket(socket.AF_UNIX)
                self.line.connect(self.path("shell"))
                break
            except OSError:
                time.sleep(0.1)
        if wait:
            self.ready()

    def ready(self, patience=600):
        """Waits until its shell is there: after power-on, and after it booted anew."""
        while self.until(patience)[1] != "ready":
            pass

    def until(self, patience):
        """What is printed up to the next status, and that."""
        end = time.monotonic() + patience
        while b"\x1e" not in self.rest or b"\n" not in self.rest.partition(b"\x1e")[2]:
            self.line.settimeout(max(0.1, end - time.monotonic()))
            try:
                more = self.line.recv(65536)
            except socket.timeout:
                raise NodeError("%s says nothing for %d s: %s" %
                                (self.name, patience, self.rest[-2000:].decode(errors="replace"))) from None
            if not more:
                raise NodeError("%s has ended" % self.name)
            self.rest += more
        said, _, rest = self.rest.partition(b"\x1e")
        status, _, self.rest = rest.partition(b"\n")
        return said.decode(errors="replace"), status.decode().strip()

    def start(self, script):
        self.line.sendall(base64.b64encode(script.encode()) + b"\n")

    def run(self, script, patience=300):
        """The status of a script, and what it printed."""
        self.start(script)
        said, status = self.until(patience)
        return int(status), said

    def wait(self, script, patience=300):
        """Runs it until it succeeds; what it printed at last."""
        end = time.monotonic() + patience
        while True:
            status, said = self.run(script)
            if status == 0 or time.monotonic() > end:
                return status, said
            time.sleep(1)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def last_words(self):
        with open(self.path("console"), encoding="utf-8", errors="replace") as f:
            return "\n".join(f.read().splitlines()[-30:])
