# SPDX-License-Identifier: GPL-2.0-only
"""Debian's 32-bit kernels and a 32-bit busybox, as files; nothing is installed.

apt-get gets them by a configuration of its own for i386, from the mirrors that this
machine's apt knows. They are kept in the cache of the test machines.
"""

import glob
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../machine"))

import image  # noqa: E402  (the machine's modules)

FLAVOURS = ("686", "686-pae")


def apt(directory):
    """Options that keep this machine's own apt out of it."""
    status = os.path.join(directory, "status")
    for name in ("state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    with open(status, "w", encoding="ascii"):
        pass
    return [part for option in (
        "APT::Architecture=i386", "APT::Architectures::=i386", "Dir::State=" + directory + "/state",
        "Dir::State::status=" + status, "Dir::Cache=" + directory + "/cache",
        "Acquire::Languages=none", "APT::Sandbox::User=root") for part in ("-o", option)]


def download(entry):
    os.mkdir(entry)
    with tempfile.TemporaryDirectory() as scratch:
        options = apt(scratch)
        # A mirror may lack the newest index of one suite; what the others have will do.
        image.subprocess.run(["apt-get", *options, "update", "-q"], check=False,
                             stdin=image.subprocess.DEVNULL, stdout=image.subprocess.DEVNULL,
                             stderr=image.subprocess.DEVNULL)
        wanted = {"busybox-static": "bin/busybox"}
        for flavour in FLAVOURS:
            depends = image.run("apt-cache", *options, "depends", "linux-image-" + flavour)
            name = re.search(r"Depends: (linux-image-[\d.]+-\d+-%s)$" % flavour, depends,
                             re.MULTILINE).group(1)
            wanted[name] = "boot/vmlinuz-*"
        for name, member in wanted.items():
            image.run("apt-get", *options, "download", "-q", name, cwd=scratch)
            unpacked = os.path.join(scratch, name)
            image.run("dpkg", "-x", glob.glob(os.path.join(scratch, name + "_*.deb"))[0], unpacked)
            found, = glob.glob(os.path.join(unpacked, member))
            flavour = next((f for f in reversed(FLAVOURS) if name.endswith("-" + f)), None)
            os.rename(found, os.path.join(entry, "vmlinuz-" + flavour if flavour else "busybox"))


def files():
    """The directory with vmlinuz-686, vmlinuz-686-pae and busybox."""
    version = image.run("dpkg-query", "-W", "-f", "${Version}",
                        "linux-headers-" + image.release())
    try:
        return image.Cache().get("i386-" + version, download)
    except (image.subprocess.CalledProcessError, AttributeError, ValueError) as error:
        raise image.ImageError("cannot get Debian's i386 kernels: %s\n%s" % (
            error, getattr(error, "stderr", ""))) from error
