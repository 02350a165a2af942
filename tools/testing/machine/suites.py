# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of other Debian suites than the machine's own, and the compilers that belong to them.

A minimal root of the suite, in the cache, holds the compiler and the headers: a newer suite's
linux-kbuild needs that suite's C library. It comes from the mirror that this machine's own apt
uses; nothing on the machine is changed.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile

import image

# name: suite
KERNELS = {
    "6.1": "bookworm",
    "6.12": "trixie",
    "7.3": "trixie-backports",
}
# The kernels whose headers are in the root; machines boot the first.
FLAVOURS = ("cloud-amd64", "amd64", "rt-amd64")
# Stock kernels for guests: one that is too old for a host, and the flavours.
GUESTS = tuple("%s-%s" % (kernel, flavour) for kernel in ("5.10", *KERNELS) for flavour in FLAVOURS) + \
    ("6.1-686", "6.1-686-pae")
INCLUDED = "gcc,sparse,make,libelf-dev,libc6-dev,xz-utils,kmod,perl,python3"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def mirror():
    """The URI of Debian's archive, as this machine's own apt has it."""
    sources = glob.glob("/etc/apt/sources.list") + glob.glob("/etc/apt/sources.list.d/*")
    for path in sorted(sources):
        with open(path, encoding="utf-8", errors="replace") as f:
            text = re.sub(r"^\s*#.*$", "", f.read(), flags=re.MULTILINE)
        for uri in re.findall(r"^URIs:\s*(\S+)", text, re.MULTILINE) + \
                re.findall(r"^deb\s+(?:\[[^]]*\]\s*)?(\S+)", text, re.MULTILINE):
            if uri.rstrip("/").endswith("/debian"):
                return uri
    raise image.ImageError("no archive of Debian in the sources of apt: where do packages come from?")


def apt(directory, suite, architecture="amd64"):
    """A function that runs a program of apt with sources, lists and cache of its own in @directory."""
    for name in ("lists/partial", "archives/partial"):
        os.makedirs(os.path.join(directory, name))
    sources = os.path.join(directory, "sources")
    with open(sources, "w", encoding="utf-8") as f:
        f.write("deb [arch=%s signed-by=%s] %s %s main\n" % (architecture, KEYRING, mirror(), suite))
    options = ["-o", "APT::Architecture=" + architecture, "-o", "APT::Architectures::=" + architecture,
               "-o", "Dir::State=" + directory, "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + directory,
               "-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=-",
               "-o", "APT::Sandbox::User=root", "-o", "APT::Get::List-Cleanup=false"]

    def command(program, *argv):
        try:
            return image.run(program, *options, *argv, cwd=directory)
        except subprocess.CalledProcessError as error:
            raise image.ImageError("%s %s fails: %s" % (program, " ".join(argv), error.stderr)) from error
    return command


def guest_kernel(name):
    """The stock kernel of a name in GUESTS, unpacked."""
    kernel, _, flavour = name.partition("-")

    def unpack(entry):
        with tempfile.TemporaryDirectory() as scratch:
            narrow = "686" in flavour
            command = apt(scratch, "bullseye" if kernel == "5.10" else KERNELS[kernel], "i386" if narrow else "amd64")
            command("apt-get", "update", "-q")
            depends = command("apt-cache", "depends", "linux-image-" + flavour)
            package = re.search(r"Depends: (linux-image-\d\S*)", depends)[1]
            # Newer suites have kernel and modules in packages that it depends on.
            parts = re.findall(r"Depends: (linux-(?:binary|modules)-\S+)", command("apt-cache", "depends", package))
            # Programs of 64 bits do not run there.
            parts += ["busybox-static"] if narrow else []
            command("apt-get", "download", "-q", package, *parts)
            os.mkdir(entry)
            for path in glob.glob(os.path.join(scratch, "*.deb")):
                image.run("dpkg", "-x", path, entry)
        image.settle(entry, package[len("linux-image-"):])
    directory = image.Cache().get("guest-kernel-%s-1" % name, unpack)
    release, = os.listdir(os.path.join(directory, "lib/modules"))
    return image.StockKernel(directory, release)


def in_root(root, command, binds=()):
    """Runs a shell command in the root, with directories bound at their own paths."""
    mounts = "".join("mkdir -p %(r)s%(d)s; mount --rbind %(d)s %(r)s%(d)s; " % {"r": root, "d": d}
                     for d in binds)
    # Its own pseudo-terminals, as a machine has.
    script = "set -e; mount --make-rprivate /; mount -t proc proc %s/proc; mkdir -p %s/dev/pts; " \
        "mount -t devpts -o ptmxmode=0666 devpts %s/dev/pts; ln -sf pts/ptmx %s/dev/ptmx; %sexec chroot %s " \
        "/usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C sh -c \"$1\"" % (
            root, root, root, root, mounts, root)
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", command]
    if os.getuid():
        argv[1:1] = ["--map-root-user", "--map-auto"]
    return subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")


# In the fresh root, while it can still reach the archive: headers, and the kernel that they are of.
# Newer suites have the kernel and its modules in packages of their own, which linux-image depends on.
COMPLETE = """set -e
apt-get install -y -q --no-install-recommends -t %s %s
release=$(cd /usr/src && echo linux-headers-*-cloud-amd64)
release=${release#linux-headers-}
mkdir /image && cd /tmp
apt-get download -q linux-image-$release $(apt-cache depends linux-image-$release |
	grep -oE "linux-(binary|modules)-.*")
for package in *.deb; do dpkg -x $package /image; done
rm *.deb
if [ ! -d /image/lib ]; then ln -s usr/lib /image/lib; fi
if [ ! -d /image/boot ]; then
	mkdir /image/boot
	ln -s ../usr/lib/modules/$release/vmlinuz /image/boot/vmlinuz-$release
fi
find /image -name "*.ko.xz" -print0 | xargs -0r -n 200 xz -d
depmod -b /image $release
"""


def make_root(entry, suite):
    """A root of the base suite, with the headers of @suite (it, or its backports)."""
    base = suite.split("-")[0]
    if not shutil.which("mmdebstrap"):
        raise image.ImageError("mmdebstrap is missing: run tools/testing/machine/packages suites")
    os.mkdir(entry)
    root = os.path.join(entry, "root")
    done = subprocess.run(
        ["nice", "mmdebstrap", "--quiet", "--variant=minbase", "--include=" + INCLUDED,
         "--customize-hook=chroot \"$1\" sh -c '%s'" % (COMPLETE % (suite, " ".join("linux-headers-" + flavour for flavour in FLAVOURS))),
         base, root]
        + ["deb [signed-by=%s] %s %s main" % (KEYRING, mirror(), name) for name in sorted({base, suite})],
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)
    if done.returncode:
        raise image.ImageError("no root of %s:\n%s" % (suite, done.stdout[-3000:]))
    os.rename(os.path.join(root, "image"), os.path.join(entry, "image"))


class Suite:
    """The root and the kernel of a name in KERNELS."""

    def __init__(self, name):
        if name not in KERNELS:
            raise image.ImageError("no kernel %s: there are %s, and the installed one"
                                   % (name, ", ".join(KERNELS)))
        suite = KERNELS[name]
        self.directory = image.Cache().get("suite-%s-4" % suite, lambda entry: make_root(entry, suite))
        self.root = os.path.join(self.directory, "root")
        self.releases = [self.headers_of(flavour) for flavour in FLAVOURS]
        self.release = self.releases[0]

    def headers_of(self, flavour):
        """The release of a flavour's headers: its name has a version in front, and no other flavour's."""
        pattern = re.compile(r"linux-headers-(\d[^-]*(?:-\d+)?-%s)$" % flavour)
        found = [match[1] for match in map(pattern.match, sorted(os.listdir(self.root + "/usr/src"))) if match]
        if not found:
            raise image.ImageError("no headers of the flavour %s in the root" % flavour)
        return found[-1]

    def stock_kernel(self):
        builtin = os.path.join(self.root, "usr/lib/modules", self.release, "modules.builtin")
        return image.StockKernel(os.path.join(self.directory, "image"), self.release,
                                 builtin if os.path.exists(builtin) else None)

    def build(self, tree, parts, directory, inner, *variables, release=None, separate=False):
        """Builds a module in @directory/@inner; status and output.

        It is built beside links to the tree's @parts, or where @separate is true and the kernel knows MO= from the
        tree itself, which is read-only then.
        """
        release = release or self.release
        headers = "/usr/src/linux-headers-" + release
        if separate and self.knows_mo(release):
            output = os.path.normpath(os.path.join(directory, inner))
            command = make_command(headers, tree, inner, [*variables, "MO=" + output])
            return in_root(self.root, "mount -o remount,bind,ro %s && %s" % (tree, command), (tree, directory))
        image.link_tree(tree, parts, directory)
        return in_root(self.root, make_command(headers, directory, inner, variables), (tree, directory))

    def knows_mo(self, release):
        """Can Kbuild build into another directory than the sources'?  Linux 6.13 and later can."""
        headers = os.path.join(self.root, "usr/src/linux-headers-" + release)
        with open(os.path.join(headers, "Makefile"), encoding="utf-8") as f:
            text = f.read()
        common = re.search(r"^include (/usr/src/\S+)", text, re.MULTILINE)
        if common:
            with open(self.root + common[1], encoding="utf-8") as f:
                text = f.read()
        return "KBUILD_EXTMOD_OUTPUT" in text


class Installed:
    """The kernel whose headers are installed here, with the machine's own compiler."""

    def __init__(self, headers=None):
        self.release = image.release()
        self.headers = headers or "/usr/src/linux-headers-" + self.release

    def build(self, tree, parts, directory, inner, *variables, release=None, separate=False):
        """As Suite.build(), beside links; @release is that of the headers."""
        image.link_tree(tree, parts, directory)
        return subprocess.run(["sh", "-c", make_command(self.headers, directory, inner, variables)],
                              check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")


def make_command(headers, directory, inner, variables):
    # Its jobs are its own: a make above that hands out some would be complained about.
    return "exec env -u MAKEFLAGS nice make -C %s M=%s -j%d %s modules" % (
        headers, os.path.normpath(os.path.join(directory, inner)), os.cpu_count() or 1, " ".join(variables))


def stock_kernel(name):
    """The stock kernel of a name in KERNELS, with which the headers in the root go, or in GUESTS."""
    return Suite(name).stock_kernel() if name in KERNELS else guest_kernel(name)
