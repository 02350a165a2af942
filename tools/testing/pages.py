# SPDX-License-Identifier: GPL-2.0-only
"""Pages that show commands with what these print: literal blocks of them are read, and compared with a run.

A command follows a prompt, and below it is what it prints. A line "..." stands for any lines. A decimal number may
differ by a share, three tenths or two if nothing else is said, and by anything where the command ends in the comment
"# varies"; a hexadecimal one may differ; all else must be as the page says.
"""

import re


def steps(path, prompt="# "):
    """[(prompt, command, [line])]: what is typed where, and what the page says that it prints."""
    found = []
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    inside = False
    for number, line in enumerate(lines):
        typed = re.match("   (%s)" % prompt, line)
        if typed:
            inside = True
            found.append((typed[1], line[typed.end():], []))
        elif inside and found[-1][1].endswith("\\"):
            found[-1] = (found[-1][0], found[-1][1][:-1] + line.strip(), [])
        elif inside and line.startswith("   "):
            found[-1][2].append(line[3:])
        elif line or not any(rest.startswith("   ") for rest in lines[number + 1:number + 2]):
            inside = inside and not line
    return found


def remarks(command):
    """The words of the comment at a command's end."""
    return command.rpartition("# ")[2].split(", ")


class Near:
    """How far a number may be off: by a @share of it, or by @least; digits behind a letter are a word if @words."""

    def __init__(self, share=0.3, least=2, words=False):
        self.share, self.least = share, least
        self.pattern = (r"(?<![A-Za-z])" if words else "") + r"(?:0x[0-9a-f]+|\d+(?:\.\d+)?)"

    def number(self, expected, actual):
        return abs(expected - actual) <= max(self.least, self.share * max(expected, actual))

    def line(self, expected, actual, varies):
        if re.sub(self.pattern, "#", expected).split() != re.sub(self.pattern, "#", actual).split():
            return False
        return varies or all(self.number(float(one), float(other)) for one, other in
                             zip(re.findall(self.pattern, expected), re.findall(self.pattern, actual))
                             if not one.startswith("0x") and not other.startswith("0x"))

    def lines(self, expected, actual, varies):
        if not expected:
            return not actual
        if expected[0].strip() == "...":
            return any(self.lines(expected[1:], actual[i:], varies) for i in range(len(actual) + 1))
        return bool(actual) and self.line(expected[0], actual[0], varies) and \
            self.lines(expected[1:], actual[1:], varies)


def same(command, expected, actual, near=Near()):
    """Do the lines match, but for blank ones?"""
    return near.lines([line for line in expected if line.strip()], [line for line in actual if line.strip()],
                      "varies" in remarks(command))
