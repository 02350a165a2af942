# SPDX-License-Identifier: GPL-2.0-only
"""Test results as TAP: scripts outside of machines print them with Results, and check reads them with parse()."""

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


def failed(text):
    """The names of the tests that failed."""
    return [case.name for case in parse(text)[0] if not case.ok]


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
        """Takes over what another program printed, with this one's numbers; is its plan kept?"""
        for line in text.splitlines():
            for case in parse(line)[0]:
                self.result(case.ok, case.name)
            if line.startswith("#"):
                print(line)
        return parse(text)[1]

    def end(self):
        """Prints the plan; returns the exit status of the script."""
        print("1..%d" % self.count)
        return 1 if self.failed or not self.count else 0
