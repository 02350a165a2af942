# SPDX-License-Identifier: GPL-2.0-only
"""What "help course" prints in a machine's shell: the pages of the course, in their order."""

import os
import re

PAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../Documentation/course")


def pages():
    """A line for each page, with its title."""
    with open(os.path.join(PAGES, "index.rst"), encoding="utf-8") as f:
        names = re.findall(r"^   (\S+)$", f.read().partition("toctree::")[2], re.MULTILINE)
    return "The course is in Documentation/course/, a page for each concept:\n\n" + "".join(
        "  %-18s %s\n" % (name, title(name)) for name in names) + \
        "\nWhat one types there can be typed here, after insmod /gondola.ko.\n"


def title(name):
    """The line above the first row of equals signs."""
    with open(os.path.join(PAGES, name + ".rst"), encoding="utf-8") as f:
        return re.search(r"^(.+)\n=+$", f.read(), re.MULTILINE).group(1)
