# SPDX-License-Identifier: GPL-2.0-only
"""Pages that show commands with what these print: literal blocks of them are read, and compared with a run.

A command follows a prompt, and below it is what it prints. A line "..." stands for any lines. A decimal number may
differ by three tenths, or by two, and by anything where the command ends in the comment "# varies"; a hexadecimal
one may differ; all else must be as the page says.
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
    return re.split(", ", command.partition("# ")[2])


def _near(expected, actual):
    return abs(expected - actual) <= max(2, 0.3 * max(expected, actual))


def _same_line(expected, actual, varies):
    pattern = r"0x[0-9a-f]+|\d+(?:\.\d+)?"
    if re.sub(pattern, "#", expected).split() != re.sub(pattern, "#", actual).split():
        return False
    return varies or all(_near(float(one), float(other)) for one, other in
                         zip(re.findall(pattern, expected), re.findall(pattern, actual))
                         if not one.startswith("0x") and not other.startswith("0x"))


def _same(expected, actual, varies):
    if not expected:
        return not actual
    if expected[0].strip() == "...":
        return any(_same(expected[1:], actual[i:], varies) for i in range(len(actual) + 1))
    return bool(actual) and _same_line(expected[0], actual[0], varies) and _same(expected[1:], actual[1:], varies)


def same(command, expected, actual):
    """Do the lines match, but for blank ones?"""
    return _same([line for line in expected if line.strip()], [line for line in actual if line.strip()],
                 "varies" in remarks(command))
