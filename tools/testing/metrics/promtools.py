# SPDX-License-Identifier: GPL-2.0-only
"""Debian's prometheus and promtool. The package is downloaded and not installed: it would start a service."""

import glob
import os
import re
import shutil
import tempfile

import image


def programs():
    """The directory with both, from the cache."""
    version = image.run("apt-cache", "show", "--no-all-versions", "prometheus")
    version = re.search(r"^Version: (\S+)", version, re.MULTILINE).group(1)

    def unpack(entry):
        os.mkdir(entry)
        with tempfile.TemporaryDirectory() as scratch:
            image.run("apt-get", "-o", "APT::Sandbox::User=root", "download", "-q", "prometheus", cwd=scratch)
            image.run("dpkg", "-x", glob.glob(os.path.join(scratch, "*.deb"))[0], os.path.join(scratch, "x"))
            for name in ("promtool", "prometheus"):
                shutil.copy(os.path.join(scratch, "x/usr/bin", name), entry)
    return image.Cache().get("prometheus-" + version.replace(":", "_"), unpack)


def promtool():
    return os.path.join(programs(), "promtool")
