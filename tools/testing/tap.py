# SPDX-License-Identifier: GPL-2.0-only
"""Test results as TAP: scripts on the host print them with Results, and check reads them with parse()."""

import collections
import re
import sys

Case = collections.namedtuple("Case", "ok name skipped")


def parse(text):
    """The cases that @text reports, and whether its plan has as many; subtests are not looked at."""
    cases = [Case(verdict == "ok", re.sub(r"^ (- )?", "", name), verdict == "ok" and "# SKIP" in name)
             for verdict, name in re.findall(r"^(ok|not ok) \d+(.*)", text, re.MULTILINE)]
    plan = re.search(r"^1\.\.(\d+)", text, re.MULTILINE)
    return cases, bool(plan) and int(plan.group(1)) == len(cases)


class Results:
    """The results of a script, printed as they come."""

    def __init__(self):
        self.count = self.failed = 0

    def result(self, ok, name, detail=""):
        """One result; @detail is shown if the test failed."""
        self.count += 1
        self.failed += not ok
        print("%sok %d - %s" % ("" if ok else "not ", self.count, name))
        for line in detail.splitlines() if not ok else ():
            print("# " + line)
        sys.stdout.flush()
        return ok

    def skip(self, name, reason):
        self.result(True, "%s # SKIP %s" % (name, str(reason).partition("\n")[0]))

    def relay(self, text):
        """Takes over the results of another program: its cases get this one's numbers."""
        for case in parse(text)[0]:
            self.result(case.ok, case.name)

    def end(self):
        """Prints the plan; returns the exit status of the script."""
        print("1..%d" % self.count)
        return 1 if self.failed or not self.count else 0
