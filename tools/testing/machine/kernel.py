# SPDX-License-Identifier: GPL-2.0-only
"""Builds kernels from Debian's linux-source, once, for modules to be built against."""

import glob
import hashlib
import os
import subprocess

import image

HERE = os.path.dirname(os.path.abspath(__file__))
UML_CONFIG = os.path.join(HERE, "uml-config")
CHECKED_CONFIG = os.path.join(HERE, "../kunit/config")
FUZZ_CONFIG = os.path.join(HERE, "fuzz-config")
DEBUG_CONFIG = os.path.join(HERE, "debug-config")
PACKAGE = "linux-source-" + image.debian_kernel()
SOURCE = "/usr/src/%s.tar.xz" % PACKAGE
# What Linux 6.12 calls otherwise than 6.1, whose names the configurations have: the first it has turned round, and
# it is off by itself.
RENAMED = {
    "CONFIG_BASE_FULL=y": "",
    "CONFIG_RETPOLINE=y": "CONFIG_MITIGATION_RETPOLINE=y",
    "CONFIG_RETHUNK=y": "CONFIG_MITIGATION_RETHUNK=y",
}
# More than any processor has: what UML sets must not be shorter than the host's.
ALL_REGISTERS = 65536
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


def build(entry, arch, lines, targets):
    os.mkdir(entry)
    config = os.path.join(entry, "gondola.config")
    with open(config, "w", encoding="ascii") as f:
        f.write(lines)
    log = os.path.join(entry, "build.log")
    subprocess.run(
        ["tar", "-xf", SOURCE, "-C", entry, "--strip-components=1", "--wildcards"]
        + ["--exclude=%s/%s" % (PACKAGE, pattern) for pattern in LEFT_OUT], check=True)
    if arch == "um":
        let_um_have_notifiers(entry)
        let_um_set_all_registers(entry)
    architecture = "ARCH=" + arch
    make("-C", entry, architecture, "allnoconfig", "KCONFIG_ALLCONFIG=" + config, log=log)
    with open(os.path.join(entry, ".config"), encoding="ascii") as f:
        chosen = set(f.read().splitlines())
    lost = [line for line in lines.splitlines() if line.startswith("CONFIG_")
            and line not in chosen]
    if lost:
        raise image.ImageError("the kernel cannot have: %s" % ", ".join(lost))
    make("-C", entry, architecture, "-j%d" % (os.cpu_count() or 1), *targets, log=log)
    prune(entry)


def replace_once(path, old, new, why):
    """Changes a line of the kernel's source, which must be as it was."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if old not in text:
        raise image.ImageError("%s is not as it was: %s" % (path, why))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new, 1))


def let_um_have_notifiers(entry):
    """MMU_NOTIFIER has no prompt: it comes with whoever selects it, which nothing in UML does."""
    head = "config UML\n\tbool\n\tdefault y\n"
    replace_once(os.path.join(entry, "arch/um/Kconfig"), head, head + "\tselect MMU_NOTIFIER\n",
                 "MMU_NOTIFIER cannot be selected")


def let_um_set_all_registers(entry):
    """
    UML keeps the registers up to AVX-512. A host that has more (AMX) takes all or none of them: so what UML does not
    keep, and none of its processes may use, is added as zeros.
    """
    path = os.path.join(entry, "arch/x86/um/os-Linux/registers.c")
    head = "#include <linux/elf.h>\n"
    call = "ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov)"
    replace_once(path, head, "%s#include <string.h>\n\nstatic char all_registers[%d];\n" % (head, ALL_REGISTERS),
                 "it includes other headers")
    replace_once(path, call, "(memcpy(all_registers, iov.iov_base, iov.iov_len), iov.iov_base = all_registers, "
                 "iov.iov_len = sizeof(all_registers), %s)" % call, "registers are set otherwise")


def prune(entry):
    """Leaves what a module build needs, and the kernel."""
    for path in glob.glob(os.path.join(glob.escape(entry), "**/*.[oa]"), recursive=True):
        if "/scripts/" not in path:
            os.unlink(path)


def uml():
    """The directory of the UML kernel in which guests are interpreted."""
    return built("uml-fast", "um", [UML_CONFIG], ["linux", "modules"])


def uml_checked():
    """The directory of the UML kernel for KUnit, with all checkers (about three minutes)."""
    return built("uml", "um", [UML_CONFIG, CHECKED_CONFIG], ["linux", "modules"])


def uml_fuzz():
    """The directory of the UML kernel for fuzzing: the checkers, coverage and failing allocations."""
    return built("uml-fuzz", "um", [UML_CONFIG, CHECKED_CONFIG, FUZZ_CONFIG], ["linux", "modules"])


def debug(checkers):
    """The directory of the debug kernel of the SVM machine, with "kasan" or "kcsan"."""
    return built("debug" if checkers == "kasan" else "debug-" + checkers, "x86",
                 [DEBUG_CONFIG, os.path.join(HERE, "debug-%s-config" % checkers)],
                 ["bzImage", "modules"])


def build_module(uml, tree, directory, *variables):
    """Builds a module of the tree for a UML kernel; returns the compiler's warnings."""
    image.link_tree(tree, ("Kbuild", "module", "uapi", "balloon"), directory)
    log = os.path.join(directory, "build.log")
    if os.path.exists(log):
        os.unlink(log)
    make("-C", uml, "ARCH=um", "M=" + directory, *variables,
         "-j%d" % (os.cpu_count() or 1), "modules", log=log)
    with open(log, encoding="utf-8", errors="replace") as f:
        return [line.rstrip() for line in f if "warning:" in line]


def built(name, arch, configs, targets):
    """The directory of a kernel with a configuration ("allnoconfig" and the lines of files)."""
    if not os.path.exists(SOURCE):
        raise image.ImageError("no %s: run tools/testing/machine/packages" % SOURCE)
    lines = ""
    for config in configs:
        with open(config, encoding="ascii") as f:
            lines += f.read()
    if image.debian_kernel() != "6.1":
        lines = "\n".join(RENAMED.get(line, line) for line in lines.split("\n"))
    digest = hashlib.sha256(lines.encode() + repr(LEFT_OUT).encode())
    if arch == "um":
        digest.update(b"sets all %d" % ALL_REGISTERS)
    digest.update(image.run("gcc", "-dumpfullversion").strip().encode())
    version = image.run("dpkg-query", "-W", "-f", "${Version}", PACKAGE)
    return image.Cache().get("%s-%s-%s" % (name, version, digest.hexdigest()[:12]),
                             lambda entry: build(entry, arch, lines, targets))
