# SPDX-License-Identifier: GPL-2.0-only
"""Builds kernels from Debian's linux-source-6.1, once, for modules to be built against."""

import glob
import hashlib
import os
import subprocess

import image

SOURCE = "/usr/src/linux-source-6.1.tar.xz"
# Other architectures and drivers' code are most of the source; their Kconfig files must stay.
LEFT_OUT = ("Documentation/*.rst", "Documentation/*.yaml", "Documentation/*.txt", "arch/[!ux]*/*.[chS]",
            "arch/*/boot/dts/*", "drivers/gpu/*.[ch]", "drivers/net/ethernet/*.[ch]", "drivers/net/wireless/*.[ch]",
            "drivers/media/*.[ch]", "drivers/staging/*.[ch]", "drivers/infiniband/*.[ch]",
            "drivers/scsi/*.[ch]", "sound/*.[ch]", "tools/testing/*", "tools/perf/*")


def make(*argv, log):
    """Runs make at low priority with its output in a log, whose end is the error's text."""
    with open(log, "ab") as out:
        status = subprocess.run(["nice", "make", *argv], stdin=subprocess.DEVNULL,
                                stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        with open(log, encoding="utf-8", errors="replace") as f:
            raise image.ImageError("make %s failed:\n%s" % (" ".join(argv), f.read()[-6000:]))


def build(entry, arch, config, targets):
    os.mkdir(entry)
    log = os.path.join(entry, "build.log")
    subprocess.run(
        ["tar", "-xf", SOURCE, "-C", entry, "--strip-components=1", "--wildcards"]
        + ["--exclude=linux-source-6.1/" + pattern for pattern in LEFT_OUT], check=True)
    architecture = "ARCH=" + arch
    make("-C", entry, architecture, "allnoconfig", "KCONFIG_ALLCONFIG=" + config, log=log)
    with open(os.path.join(entry, ".config"), encoding="ascii") as f:
        chosen = set(f.read().splitlines())
    with open(config, encoding="ascii") as f:
        lost = [line for line in f.read().splitlines() if line.startswith("CONFIG_")
                and line not in chosen]
    if lost:
        raise image.ImageError("%s: the kernel cannot have: %s" % (config, ", ".join(lost)))
    make("-C", entry, architecture, "-j%d" % (os.cpu_count() or 1), *targets, log=log)
    prune(entry)


def prune(entry):
    """Leaves what a module build needs, and the kernel."""
    for path in glob.glob(os.path.join(glob.escape(entry), "**/*.[oa]"), recursive=True):
        if "/scripts/" not in path:
            os.unlink(path)


def built(name, arch, config, targets):
    """The directory of a kernel with a configuration ("allnoconfig" and a file's lines)."""
    if not os.path.exists(SOURCE):
        raise image.ImageError("no %s: run tools/testing/machine/packages" % SOURCE)
    with open(config, "rb") as f:
        digest = hashlib.sha256(f.read() + repr(LEFT_OUT).encode())
    digest.update(image.run("gcc", "-dumpfullversion").strip().encode())
    version = image.run("dpkg-query", "-W", "-f", "${Version}", "linux-source-6.1")
    return image.Cache().get("%s-%s-%s" % (name, version, digest.hexdigest()[:12]),
                             lambda entry: build(entry, arch, config, targets))
