# SPDX-License-Identifier: GPL-2.0-only
"""The part of check that needs no machine: builds, style, documentation and unit tests."""

import functools
import glob
import os
import re
import shutil
import sys

from check_run import HERE, SPARSE, TREE, Runner

BUILD_FOR = os.path.join(HERE, "machine/build-for")
DOCS = os.path.join(TREE, "tools/docs/check")
KUNIT = os.path.join(HERE, "kunit/run")

# Parts of checkpatch that do not hold here: its guesses about macros and inline assembly, and
# the kernel's own names for what userspace and static programs must spell out.
CHECKPATCH_IGNORED = ("FILE_PATH_CHANGES,EMBEDDED_FUNCTION_NAME,BRACKET_SPACE,COMPLEX_MACRO,"
                      "MACRO_WITH_FLOW_CONTROL,TRAILING_SEMICOLON,CONSTANT_COMPARISON,"
                      "TRAILING_STATEMENTS,ASSIGN_IN_IF,MULTISTATEMENT_MACRO_USE_DO_WHILE")
CHECKPATCH_IGNORED_USER = CHECKPATCH_IGNORED + (
    ",PREFER_DEFINED_ATTRIBUTE_MACRO,VOLATILE,ARRAY_SIZE,ENOSYS,NAKED_SSCANF,STRCPY,STRNCPY,"
    "PREFER_FALLTHROUGH,UNNECESSARY_ELSE,NEW_TYPEDEFS,AVOID_EXTERNS,CONST_STRUCT,SSCANF_TO_KSTRTO,SPLIT_STRING")
# Goals of userspace/Makefile, each with the name that its results have.
UNIT_TESTS = (
    ("test", "launcher's unit tests"),
    ("test-boot", "unit tests of odd images"),
    ("test-virtio", "unit tests of the virtio devices"),
    ("test-xen", "unit tests of Xen's store and rings"),
    ("test-balloon", "unit tests of the balloon"),
    ("test-policy", "unit tests of the memory policy"),
    ("test-inspect", "unit tests of inspecting"),
    ("test-device", "unit tests of the devices on ports"),
    ("test-migrate", "unit tests of migration"),
    ("test-sandbox", "unit tests of the sandbox"),
    ("test-life", "unit tests of control, registry and stream"),
    ("test-cmd", "unit tests of options, help and man page"),
)


class Static(Runner):
    """Checks of the source, and tests that run on this computer as they are."""

    def module(self):
        built = True
        for place, name in (("driver", "balloon driver"), ("module", "module")):
            shutil.rmtree(os.path.join(self.build, place), ignore_errors=True)
            built &= self.clean_build("%s for Linux %s, W=1 and sparse" % (name, self.release), [
                BUILD_FOR, "installed", self.build, place, "W=1", *SPARSE])
        return built

    def headers(self):
        """Every header compiles alone: the module's as kernel code, the ABI's as userspace."""
        directory = os.path.join(self.logs, "headers")
        os.makedirs(directory, exist_ok=True)
        for stale in glob.glob(os.path.join(directory, "*.c")):
            os.unlink(stale)
        objects = []
        for path in self.sources("module/**/*.h"):
            relative = os.path.relpath(path, TREE)
            name = "header_" + re.sub(r"\W", "_", relative)
            objects.append(name + ".o")
            with open(os.path.join(directory, name + ".c"), "w", encoding="ascii") as f:
                f.write('#include "%s"\n' % relative)
        with open(os.path.join(directory, "Kbuild"), "w", encoding="ascii") as f:
            f.write("ccflags-y += -I%s -I%s/uapi -I%s/module -I%s/module\nobj-m := headers.o\nheaders-y := %s\n"
                    % (TREE, TREE, TREE, self.build, " ".join(objects)))
        argv = self.kbuild(directory)
        self.clean_build("headers of the module, each alone", argv + ["headers.o"])
        for path in self.sources("uapi/**/*.h"):
            relative = os.path.relpath(path, TREE)
            status, output = self.run("header-" + relative.replace("/", "-"), [
                "gcc", "-x", "c", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                "-I" + os.path.join(TREE, "uapi"), path])
            self.score.result(relative + " alone", status == 0, output)

    def style(self):
        kernel = self.capture([KUNIT, "--kernel-only"]).splitlines()[-1]
        self.checkpatch("checkpatch", kernel, CHECKPATCH_IGNORED,
                        self.sources("module/**/*.[chS]", "balloon/*.[ch]", "uapi/**/*.h"))
        self.checkpatch("checkpatch of userspace", kernel, CHECKPATCH_IGNORED_USER,
                        self.sources("userspace/**/*.[ch]", "tracing/**/*.[ch]", "tools/testing/**/*.[ch]"))

    def checkpatch(self, name, kernel, ignored, files):
        status, output = self.run(name, [
            "perl", os.path.join(kernel, "scripts/checkpatch.pl"), "--no-tree", "--terse",
            "--show-types", "--no-summary", "--max-line-length=100",
            "--ignore", ignored, "--file"] + files)
        # It takes the operands of inline assembly for expressions.
        bad = [line for line in output.splitlines() if re.search(r": (ERROR|WARNING):", line)
               and not re.search(r"ERROR:SPACING: .*('%'|':')", line)]
        self.score.result(name, status in (0, 1) and not bad,
                          "\n".join(line.replace(TREE + "/", "") for line in bad[:40]))

    def documentation(self):
        status, output = self.run("documentation", [DOCS, "--build", self.build])
        self.score.result("documentation", status == 0, "\n".join(
            line for line in output.splitlines() if not line.endswith(": ok")))

    def rooms(self):
        status, output = self.run("rooms", [os.path.join(HERE, "rooms")])
        self.score.result("walls between the rooms of module/ and userspace/", status == 0, output)

    def scripts(self):
        bad = ""
        for path in self.sources("tools/testing/**/*", ".ci/*"):
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                first = f.readline().decode(errors="replace")
            if not first.startswith("#!"):
                continue
            argv = [sys.executable, "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"] \
                if "python" in first else ["bash", "-n"]
            status, output = self.run("script", argv + [path])
            if status:
                bad += output
        self.score.result("syntax of scripts", not bad, bad)

    def unit_test(self, goal, name):
        status, output = self.run(goal, [
            "make", "-C", os.path.join(TREE, "userspace"), "O=" + self.logs, goal])
        self.judge_tap(name, output, status)

    def model(self):
        status, output = self.run("model", [os.path.join(HERE, "migrate/model")])
        self.judge_tap("model of moves and commands", output, status)

    def interpreter(self):
        status, output = self.run("interpreter", [
            "make", "-C", os.path.join(HERE, "emulate"), "OUT=" + self.logs + "/emulate", "check"])
        skipped = re.search(r"^skipped: (\d+) forms(.*)", output, re.MULTILINE)
        if skipped:
            self.score.add(skipped=int(skipped.group(1)))
            self.score.show("interpreter against the processor: skipped, %s forms%s" % skipped.groups(), True)
        self.score.result("interpreter against the processor", status == 0, output[-3000:])

    def static_jobs(self):
        """[(name, job)] for what needs no machine."""
        return [("syntax of scripts", self.scripts),
                ("walls between the rooms of module/ and userspace/", self.rooms),
                ("headers of the module, each alone", self.headers),
                ("checkpatch", self.style), ("documentation", self.documentation)] + \
            [(name, functools.partial(self.unit_test, goal, name)) for goal, name in UNIT_TESTS] + \
            [("model of moves and commands", self.model),
             ("interpreter against the processor", self.interpreter)]
