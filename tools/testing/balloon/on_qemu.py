# SPDX-License-Identifier: GPL-2.0-only
"""Our driver on QEMU's own balloon device: "qemu-side" runs in the machine, and this has QEMU's
monitor. Both go on when they see what the other one did.
"""

import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../machine"))

from qmp import Qmp  # noqa: E402

MACHINE = os.path.join(HERE, "../machine/machine")
QEMU_MIB = 512
ASK_MIB = 192
ROOM_MIB = 160          # enough for all that runs there
PAGES = ASK_MIB * 256


class Monitor(Qmp):
    """QEMU's monitor, and QEMU itself."""

    def __init__(self, path):
        super().__init__(path)
        self.pid, _, _ = struct.unpack("3i", self.socket.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))

    def poll(self):
        """The names of all events so far."""
        self.ask("query-status")
        return self.events

    def rss(self):
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) >> 10

    def actual(self):
        return self.ask("query-balloon")["actual"] >> 20

    def status(self):
        return self.ask("query-status")["status"]

    def quit(self):
        """It may have ended by itself."""
        try:
            self.ask("quit")
        except (OSError, ValueError):
            pass

    def replace(self, line, old, new, **properties):
        """Another balloon in the slot of the old one, once the guest has seen that one go."""
        self.ask("device_del", id=old)
        line("gone")
        if not wait_for(lambda: self.poll().count("DEVICE_DELETED"), 300):
            raise OSError("%s is not unplugged: %s" % (old, self.events))
        self.events.clear()
        self.ask("device_add", driver="virtio-balloon-pci", id=new, bus="slot1", **properties)


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def pairing_steps(tap, qmp, line, figures):
    """Half of the memory goes and comes back; unplugging; free pages."""
    before = qmp.rss()
    started = line("touched")
    before = qmp.rss()
    qmp.ask("balloon", value=(QEMU_MIB - ASK_MIB) << 20)
    tap.result(wait_for(lambda: qmp.actual() == QEMU_MIB - ASK_MIB, 600),
               "QEMU's device: our driver gives %d of %d MiB" % (ASK_MIB, QEMU_MIB))
    fall = before - qmp.rss()
    small = line("small")
    tap.result(fall >= ASK_MIB * 0.95, "QEMU's resident set falls by it", "by %d MiB" % fall)
    tap.result(started[1] - small[1] == ASK_MIB << 10 and started[2] - small[2] >= ASK_MIB * 921,
               "so do MemTotal and MemAvailable", "%s, then %s" % (started, small))
    path = "/machine/peripheral/balloon"
    qmp.ask("qom-set", path=path, property="guest-stats-polling-interval", value=1)

    def stats():
        return qmp.ask("qom-get", path=path, property="guest-stats")["stats"]

    def told():
        return stats().get("stat-total-memory") == small[1] << 10 and \
            0 < stats()["stat-available-memory"] < small[1] << 10
    tap.result(wait_for(told, 300), "QEMU gets statistics", str(stats()))
    qmp.ask("balloon", value=QEMU_MIB << 20)
    large = line("large")
    tap.result(small[0] == large[0] == "whole" and large[1] == started[1],
               "it takes them back, the pattern is whole", "%s %s" % (small, large))
    figures.append({"kind": "pairing", "driver": "gondola_balloon", "device": "qemu",
                    "asked_mib": ASK_MIB, "got_mib": ASK_MIB, "rss_fall_mib": fall,
                    "instructions_a_page": (small[3] - started[3]) // PAGES,
                    "instructions_of": "the driver alone", "reason": "reached"})
    qmp.ask("balloon", value=(QEMU_MIB - 64) << 20)
    line("unplug")
    qmp.ask("device_del", id="balloon")
    gone = line("gone")
    tap.result(gone[0] == "whole" and gone[1] == started[1],
               "unplugged with pages in it, it leaves them to the guest", str(gone))
    tap.result(wait_for(lambda: "DEVICE_DELETED" in qmp.poll(), 300), "QEMU sees it go")
    qmp.ask("device_add", driver="virtio-balloon-pci", id="again", bus="slot1",
            **{"free-page-reporting": True})
    line("again")
    before = qmp.rss()
    qmp.ask("balloon", value=(QEMU_MIB - 8) << 20)
    tap.result(wait_for(lambda: before - qmp.rss() >= 128, 300),
               "a new one: free pages are reported, QEMU's resident set falls",
               "by %d of %d MiB" % (before - qmp.rss(), before))
    figures.append({"kind": "reporting", "driver": "gondola_balloon", "device": "qemu",
                    "rss_fall_mib": before - qmp.rss()})
    qmp.ask("balloon", value=QEMU_MIB << 20)


def life_steps(tap, qmp, line, figures):
    """A driver that is taken away, poisoned pages, hints of free pages, sleep."""
    started = line("started")
    tap.result(started[1] == 1, "QEMU's device, a guest that clears freed pages: PAGE_POISON is used",
               str(started))
    qmp.ask("balloon", value=ROOM_MIB << 20)
    unbound = line("unbound")
    # A quiet computer may be done before the guest unbinds it.
    full = (QEMU_MIB - ROOM_MIB) << 10
    tap.result(unbound[0] == "whole" and unbound[1] == started[2] and
               0 < unbound[2] <= full and
               wait_for(lambda: qmp.actual() == QEMU_MIB, 300),
               "unbound while it inflates, it gives all back", "%s %s" % (started, unbound))
    figures.append({"kind": "unbind", "driver": "gondola_balloon", "device": "qemu",
                    "while": "inflating" if unbound[2] < full else "inflated", "then_mib": unbound[2] >> 10, "left_mib": 0,
                    "pattern": unbound[0]})
    qmp.ask("balloon", value=QEMU_MIB << 20)
    reported(tap, qmp, line, figures)
    hinted(tap, qmp, line, figures)
    sleeps(tap, qmp, line, figures)


def sleeps(tap, qmp, line, figures):
    """After S3 QEMU unplugs nothing any more: this comes last."""
    qmp.ask("balloon", value=(QEMU_MIB - ASK_MIB) << 20)
    small = line("small")
    disk = line("disk")
    tap.result(disk[0] == "whole" and disk[1] == small[1] and disk[2] == 1 and
               wait_for(lambda: qmp.actual() == QEMU_MIB - ASK_MIB, 300),
               "hibernation makes its image, the balloon is back", "%s %s" % (small, disk))
    asleep = wait_for(lambda: qmp.status() == "suspended", 600)
    actual = qmp.actual()
    tap.result(asleep and actual == QEMU_MIB, "asleep in S3, the guest has all its memory",
               "%s, %d MiB" % (qmp.status(), actual))
    qmp.ask("system_wakeup")
    awake = line("awake")
    tap.result(awake[0] == "whole" and awake[1] == small[1] and
               wait_for(lambda: qmp.actual() == QEMU_MIB - ASK_MIB, 300),
               "awake, the balloon is back, the pattern is whole", "%s %s" % (small, awake))
    figures.append({"kind": "sleep", "driver": "gondola_balloon", "device": "qemu",
                    "in_balloon_mib": ASK_MIB, "to": ["disk", "memory"], "pattern": awake[0]})
    qmp.ask("balloon", value=QEMU_MIB << 20)


def reported(tap, qmp, line, figures):
    """Pages that were cleared may be reported, for the device knows what they must read as."""
    qmp.replace(line, "balloon", "cleared", **{"free-page-reporting": True})
    features = line("cleared")
    before = qmp.rss()
    qmp.ask("balloon", value=(QEMU_MIB - 8) << 20)
    tap.result(wait_for(lambda: before - qmp.rss() >= 128, 300) and features[1] == 1,
               "cleared free pages are reported, QEMU's resident set falls",
               "by %d of %d MiB" % (before - qmp.rss(), before))
    figures.append({"kind": "poison", "driver": "gondola_balloon", "device": "qemu",
                    "rss_fall_mib": before - qmp.rss()})
    qmp.ask("balloon", value=QEMU_MIB << 20)


def hinted(tap, qmp, line, figures):
    """QEMU asks for hints when it sends the guest's memory, here to nowhere."""
    qmp.ask("object-add", **{"qom-type": "iothread", "id": "hints"})
    qmp.replace(line, "cleared", "hinting",
                **{"free-page-hint": True, "iothread": "hints", "page-poison": False})
    line("hinting")
    # Slow until all hints are there: a page that was sent before its hint saves nothing.
    qmp.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 16})
    qmp.ask("migrate", uri="exec:cat > /dev/null")
    kept = line("kept")
    qmp.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 34})
    ended = wait_for(lambda: qmp.ask("query-migrate")["status"] not in ("setup", "active", "device"),
                     600)
    result = qmp.ask("query-migrate")
    qmp.ask("cont")
    dropped = line("dropped")
    ram = result.get("ram", {})
    sent = (ram.get("normal", 0) + ram.get("duplicate", 0)) >> 8
    hints = (dropped[2] - kept[2]) >> 10
    tap.result(ended and result["status"] == "completed" and hints >= 128 and
               sent <= QEMU_MIB - hints + 32,
               "QEMU leaves out what was hinted at when it sends the guest's memory",
               "%d MiB hinted, %d MiB sent: %s" % (hints, sent, result))
    tap.result(kept[0] == dropped[0] == "whole" and dropped[1] == kept[1],
               "then the guest has those pages again", "%s %s" % (kept, dropped))
    figures.append({"kind": "hints", "driver": "gondola_balloon", "device": "qemu",
                    "hinted_mib": hints, "sent_mib": sent, "memory_mib": QEMU_MIB,
                    "pattern": dropped[0]})


def run_machine(tap, build, steps, figures, *options):
    """@options: for the machine, then "--" and what qemu-side shall do."""
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "qmp")
        machine = subprocess.Popen(
            [MACHINE, "--engine", "svm", "--memory", str(QEMU_MIB), "--timeout", "1500", "-v",
             "--balloon", path, "--modules", "virtio_pci",
             "--files", build + "/gondola_balloon.ko:/",
             "--files", build + "/balloon-tests/guest/bin/hold-memory:/bin/",
             "--files", os.path.join(HERE, "qemu-side") + ":/bin/", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []

        def line(wanted):
            for text in machine.stdout:
                said.append(text)
                match = re.match(r"QB %s (\S+) (\d+) (\d+) (\d+)" % wanted, text)
                if match:
                    return match.group(1), *map(int, match.groups()[1:])
            raise OSError("the machine ended before \"%s\":\n%s" % (wanted, "".join(said)))

        try:
            if not wait_for(lambda: os.path.exists(path), 600):
                raise OSError("there is no monitor:\n" + machine.communicate()[0])
            qmp = Monitor(path)
            steps(tap, qmp, line, figures)
            # After S3 QEMU does not hear that its machine powers itself off.
            for text in machine.stdout:
                said.append(text)
                if "reboot: Power down" in text:
                    qmp.quit()
            machine.wait()
            tap.result(machine.returncode == 0 and "QB kills 0" in "".join(said),
                       "nothing is killed, the machine ends well", "".join(said))
        except (OSError, ValueError) as error:
            tap.result(False, "our driver on QEMU's device", str(error))
        finally:
            machine.terminate()
            machine.wait()


def pairing(tap, figures, build):
    run_machine(tap, build, pairing_steps, figures, "--icount", "--",
                "qemu-side", "pairing", str(ASK_MIB << 10))


def life(tap, figures, build):
    run_machine(tap, build, life_steps, figures, "--cpus", "2", "--append", "init_on_free=1",
                "--", "qemu-side", "life", str(ASK_MIB << 10))
