# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx configuration, and two directives: one puts kernel-doc comments into a page, one the man
page that the launcher prints (its path is in $GONDOLA).

    .. kernel-doc:: uapi/linux/gondola.h
       :identifiers: gondola_preflight gondola_create_vm
    .. launcher-manual::
"""

import glob
import os
import subprocess

import sphinx
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.util.nodes import nested_parse_with_titles

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

project = "gondola"
copyright = "the gondola project, GPL-2.0-only"  # the name is Sphinx's
master_doc = "index"
exclude_patterns = []
html_theme = "alabaster"
html_show_sourcelink = False
html_theme_options = {"description": "a minimal virtual machine monitor"}
man_pages = [("man/gondola.1", "gondola", "run virtual machines by gondola.ko", "", 1)]
smartquotes = False  # quotes and "--" here are code


def kernel_doc_script():
    """The kernel's own extractor, which comes with its headers."""
    found = sorted(glob.glob("/usr/lib/linux-kbuild-*/scripts/kernel-doc"))
    if not found:
        raise OSError("no kernel-doc: run tools/testing/machine/packages build")
    return found[-1]


class KernelDoc(Directive):
    """The descriptions of some identifiers of a header."""

    required_arguments = 1
    option_spec = {"identifiers": directives.unchanged_required}

    def run(self):
        path = os.path.join(TREE, self.arguments[0])
        self.state.document.settings.env.note_dependency(path)
        node = nodes.section()
        node.document = self.state.document
        for name in self.options["identifiers"].split():
            done = subprocess.run(
                [kernel_doc_script(), "-rst", "-sphinx-version", sphinx.__version__,
                 "-function", name, path],
                check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if done.returncode or not done.stdout.strip():
                raise self.error("%s: no kernel-doc of %s: %s" % (path, name, done.stderr))
            lines = StringList(done.stdout.splitlines(), source=path)
            nested_parse_with_titles(self.state, lines, node)
        return node.children


class LauncherManual(Directive):
    """The output of "gondola help --man", without its title."""

    def run(self):
        launcher = os.environ.get("GONDOLA", os.path.join(TREE, "build/gondola"))
        text = subprocess.run([launcher, "help", "--man"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        node = nodes.section()
        node.document = self.state.document
        lines = StringList(text[text.index("\nSynopsis\n"):].splitlines(), source=launcher)
        nested_parse_with_titles(self.state, lines, node)
        return node.children


def setup(app):
    app.add_directive("launcher-manual", LauncherManual)
    app.add_directive("kernel-doc", KernelDoc)
