# SPDX-License-Identifier: GPL-2.0-only
"""What every part of check needs: results are counted, commands run and are timed."""

import glob
import os
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import tap  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
MACHINE = os.path.join(HERE, "machine/machine")


# The lines that tell most of a failure are repeated at the end, where people look first.
TELLING = re.compile(r"^\W*not ok|\*\*\* .*Error|\.c:\d+: |BUG: |Oops: |int3: |general protection fault|RIP: 0010|"
                     r"Kernel panic|KASAN: |machine: (still running after|it ended|its kernel)|: error: |"
                     r"^\W*(CPU#\d|R?E?IP=)")

# For builds with sparse.  Linux 7.3 turns it off where scripts/checker-valid.sh, which Debian's headers lack, does not
# find it good enough.  Debian's is 0.6.4: to it an operator and constants of these headers are unknown, so that it
# complains of MODULE_LICENSE() and of get_unaligned() from what is const.
SPARSE = ("C=1", "KBUILD_CHECKSRC=1", "CF=-D__typeof_unqual__=__typeof__")
SPARSE_WRONG = {"7.3": r"error: bad constant expression$|warning: incorrect type .*\(different modifiers\)$"}

# Seconds that jobs have to end in when --minutes are over.
LAST_JOBS = 20 * 60


def reasons(detail):
    """The few lines of @detail that say why."""
    lines = [line.strip()[:200] for line in detail.splitlines() if line.strip()]
    return [line for line in lines if TELLING.search(line)][:8] or lines[-1:]


def told(text, end=8000):
    """The end of a TAP program's output, and before it what failed earlier."""
    if len(text) <= end:
        return text
    failures = re.findall(r"^ *not ok .*\n(?:# .*\n){0,8}", text[:-end], re.MULTILINE)
    return "".join(failures)[:end] + "[...]\n" + text[-end:]


class Score:
    """Counts results and shows them as they come."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.took = []

    def add(self, passed=0, failed=0, skipped=0):
        with self.lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped

    def result(self, name, ok, detail="", seconds=None):
        self.add(passed=int(bool(ok)), failed=int(not ok))
        self.show(name, ok, detail, seconds)

    def show(self, name, ok, detail="", seconds=None):
        with self.lock:
            took = "" if seconds is None else " (%.0f s)" % seconds
            print("%-6s %s%s" % ("ok" if ok else "FAILED", name, took), flush=True)
            if not ok:
                self.failures.append("\n      ".join([name] + reasons(detail)))
                if detail:
                    print("       " + detail.rstrip().replace("\n", "\n       "), flush=True)


class Runner:
    """Runs commands, keeps their logs and judges what they said."""

    def __init__(self, args):
        self.build = os.path.abspath(args.build)
        self.logs = os.path.join(self.build, "check")
        self.score = Score()
        self.minutes = args.minutes
        self.started = time.monotonic()
        self.release = self.capture([MACHINE, "--version"]).strip()
        os.makedirs(self.logs, exist_ok=True)

    @staticmethod
    def capture(argv):
        return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, errors="replace").stdout

    def seconds_left(self):
        """Until no more jobs begin; below zero behind that."""
        return self.started + self.minutes * 60 - time.monotonic()

    def run(self, name, argv, **kwargs):
        """(status, output) of a command; the output is kept as NAME.log."""
        if self.minutes is not None:
            argv = ["timeout", "--kill-after=30", "%d" % max(self.seconds_left() + LAST_JOBS, 1)] + argv
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              errors="replace", **kwargs)
        with open(os.path.join(self.logs, name + ".log"), "w", encoding="utf-8") as f:
            f.write(done.stdout)
        return done.returncode, done.stdout

    def timed(self, name, job):
        """Does @job, if there is time for it, and notes how long it took."""
        if self.minutes is not None and self.seconds_left() <= 0:
            self.score.add(skipped=1)
            self.score.show("%s: skipped, its turn had not come after %g minutes" % (name, self.minutes), True)
            return None
        started = time.monotonic()
        result = job()
        self.score.took.append((time.monotonic() - started, name))
        return result

    def sources(self, *patterns):
        found = []
        for pattern in patterns:
            found += glob.glob(os.path.join(TREE, pattern), recursive=True)
        return sorted(path for path in found if not path.startswith(self.build + "/"))

    @staticmethod
    def complaints(output):
        return [line for line in output.splitlines()
                if re.search(r"(warning|error):|objtool:|\*\*\*", line)
                and "Skipping BTF" not in line]

    def clean_build(self, name, argv, wrong="^$"):
        """A build that must succeed without a warning about our own files, but for those like @wrong."""
        started = time.monotonic()
        status, output = self.run(name, argv)
        bad = [line for line in self.complaints(output) if not re.search(wrong, line)]
        if SPARSE[0] in argv and "  CC [M] " in output and "  CHECK " not in output:
            bad.append("sparse did not run")
        self.score.result(name, status == 0 and not bad,
                          "\n".join(bad[:30]) or output[-2000:], time.monotonic() - started)
        return status == 0

    def kbuild(self, directory, headers=None):
        return ["make", "-C", headers or "/usr/src/linux-headers-" + self.release, "M=" + directory,
                "-j%d" % (os.cpu_count() or 1), "W=1"]

    def judge_tap(self, name, text, status):
        """Counts a TAP program's results; status is None when its machine died."""
        cases, planned = tap.parse(text)
        skipped = sum(case.skipped for case in cases)
        passed = sum(case.ok for case in cases) - skipped
        failed = len(cases) - passed - skipped
        trouble = ""
        if status is None:
            trouble = "the machine ended in it"
        elif status in (124, 143):
            trouble = "time-out"
        elif status == 4 and not failed:
            skipped = skipped or 1
        elif status:
            trouble = "" if failed else "exit status %d" % status
        elif not planned:
            trouble = "its plan and its %d results differ" % len(cases)
        if trouble:
            failed += 1
        self.score.add(passed, failed, skipped)
        self.score.show("%s: %d passed, %d failed, %d skipped%s" % (
            name, passed, failed, skipped, ": " + trouble if trouble else ""),
                        not failed, told(text))
