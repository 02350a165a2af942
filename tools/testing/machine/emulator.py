# SPDX-License-Identifier: GPL-2.0-only
"""The emulators of test machines: Bochs has VMX, QEMU has SVM; User Mode Linux has neither.

All give the machine two serial lines: the first is its console, the second the
channel on which the command's output and status come back. What is in /output comes
back on that, too, but from QEMU through a virtio port.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import qmp
import relay
import stale
import tsc

DEFAULT_MODEL = {"vmx": "core2_penryn_t9600", "svm": "EPYC", "interp": "interpreter"}

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Emulator:
    """One run of one machine, in a directory of its own."""

    name = None

    def __init__(self, args, workdir, kernel, initrd):
        self.args = args
        self.workdir = workdir
        self.kernel = kernel
        self.initrd = initrd
        self.console = self.path("console")
        self.channel = self.path("channel")
        self.output = self.path("output")
        self.log = self.path("log")
        self.process = None

    def path(self, name):
        return os.path.join(self.workdir, name)

    def output_archive(self):
        """What came by another way than the channel: /output as a tar archive, or nothing."""
        try:
            with open(self.output, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def command_line(self):
        """The kernel's, without what is particular to one emulator."""
        words = ["console=ttyS0", "quiet", "nokaslr", "tsc=reliable", "panic=0", "oops=panic",
                 # The self-tests of the cryptographic algorithms are half of the boot's ticks.
                 "cryptomgr.notests"]
        if self.args.icount is not None:
            # A processor that schedules nobody for twice as many seconds is a soft lockup.
            # Elsewhere it would give false alarms, see testing.rst: the kernel's 10 stays.
            words.append("watchdog_thresh=1")
        if self.args.mitigations == "off":
            words.append("mitigations=off")
        return words

    def spawn(self, argv, stdin=subprocess.DEVNULL):
        with open(self.path("stderr"), "wb") as out:
            self.process = subprocess.Popen(
                argv, stdin=stdin, stdout=out, stderr=subprocess.STDOUT,
                cwd=self.workdir, preexec_fn=die_with_parent,
                # A linked machine that ends first must not take Bochs along by SIGPIPE.
                restore_signals=False)

    def wait(self, seconds):
        """Whether the emulator has ended."""
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def keep_logs(self, console, log):
        for source, target in ((self.console, console), (self.log, log)):
            if target and os.path.exists(source):
                shutil.copyfile(source, target)

    def read_log(self):
        text = ""
        for path in (self.log, self.path("stderr")):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text

    def ticks(self):
        """Ticks since power-on, where the emulator tells."""
        return None

    def cpu_seconds(self):
        """The ticks that the machine's processors took so far, where that means something."""
        return None

    def where_it_stands(self):
        """Lines that say what each processor does, where the emulator can be asked."""
        return []

    def look(self):
        """Is called several times a second while the machine runs."""

    def remarks(self):
        """Lines about what this run met with in the emulator."""
        return []


class Bochs(Emulator):
    name = "Bochs"

    # An instruction is a tick is 25 ns; a higher figure only makes every wait cost more ticks.
    IPS = 40000000

    def start(self):
        self.make_iso()
        if self.args.shell:
            self.port = free_port()
            lines = ["com1: enabled=1, mode=socket-server, dev=127.0.0.1:%d" % self.port,
                     "clock: sync=slowdown, time0=local"]
        else:
            lines = ["com1: enabled=1, mode=file, dev=%s" % self.console,
                     "com2: enabled=1, mode=file, dev=%s" % self.channel,
                     # Idle time is skipped and the date is fixed, so that runs repeat.
                     "clock: sync=none, time0=1700000000"]
        if self.args.link:
            # A machine that skips its idle time would not wait for the other.
            lines[-1] = "clock: sync=slowdown, time0=1700000000"
            role, port = self.args.link.split(":")
            if role == "connect":
                wait_for_listener(int(port))
            lines.append("com3: enabled=1, mode=socket-%s, dev=127.0.0.1:%s" % (
                "server" if role == "listen" else "client", port))
        if self.args.line:
            port = free_port()
            lines.append("com3: enabled=1, mode=socket-server, dev=127.0.0.1:%d" % port)
        lines += [
            "display_library: rfb, options=\"timeout=0\"",
            # Its own BIOS locks VMX on.
            "romimage: file=%s, options=fastboot" % (
                self.args.bios or "/usr/share/bochs/BIOS-bochs-latest"),
            "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest",
            "memory: guest=%d, host=%d" % (self.args.memory, self.args.memory),
            "cpu: model=%s, count=%d, ips=%d, reset_on_triple_fault=0"
            % (self.args.cpu_model, self.args.cpus, self.IPS),
            "ata0-master: type=cdrom, path=%s, status=inserted" % self.path("boot.iso"),
            "boot: cdrom",
            # Without a sound card underneath, the default driver takes Bochs down.
            "sound: driver=dummy",
            "speaker: enabled=0",
            "log: %s" % self.log,
            "panic: action=fatal",
            "error: action=report",
            "info: action=report",
            "debug: action=ignore",
        ]
        with open(self.path("bochsrc"), "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")
        # Debian's binary has the debugger built in: it waits for "continue".
        with open(self.path("debugger"), "w", encoding="ascii") as f:
            f.write("c\n")
        self.spawn(["bochs", "-q", "-f", self.path("bochsrc"), "-rc", self.path("debugger")],
                   subprocess.PIPE)
        if self.args.line:
            relay.serve(self.args.line, self.connect(port))

    def make_iso(self):
        words = self.command_line() + [
            "random.trust_cpu=on", "lpj=%d" % (self.IPS // 100), self.args.append]
        if self.args.cpus > 1:
            # MWAIT misses most writes of the other processors and sleeps up to two seconds.
            words.insert(0, "idle=halt")
        root = self.path("iso")
        os.makedirs(os.path.join(root, "isolinux"))
        for source in ("/usr/lib/ISOLINUX/isolinux.bin",
                       "/usr/lib/syslinux/modules/bios/ldlinux.c32"):
            shutil.copy(source, os.path.join(root, "isolinux"))
        with open(os.path.join(root, "isolinux", "isolinux.cfg"), "w", encoding="ascii") as f:
            f.write("default machine\nprompt 0\nlabel machine\n kernel /vmlinuz\n"
                    " append initrd=/initrd %s\n" % " ".join(words))
        shutil.copyfile(self.kernel, os.path.join(root, "vmlinuz"))
        os.rename(self.initrd, os.path.join(root, "initrd"))
        subprocess.run(
            ["xorriso", "-as", "mkisofs", "-quiet", "-o", self.path("boot.iso"),
             "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot",
             "-boot-load-size", "4", "-boot-info-table", root],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        shutil.rmtree(root)

    def connect(self, port=None):
        """Bochs waits for its serial line's peer before it starts."""
        for _ in range(100):
            try:
                return socket.create_connection(("127.0.0.1", port or self.port))
            except ConnectionRefusedError:
                if self.wait(0.1):
                    break
        raise OSError("Bochs did not start:\n%s" % self.read_log()[-2000:])

    def where_it_stands(self):
        """Bochs' debugger stops the processor for good, and shows its registers, code and stack."""
        said = self.path("stderr")
        try:
            at = os.path.getsize(said)
            self.process.send_signal(signal.SIGINT)
            time.sleep(2)
            self.process.stdin.write(b"r\nsreg\ncreg\nu /8\nprint-stack 24\n")
            self.process.stdin.flush()
            time.sleep(2)
            with open(said, encoding="utf-8", errors="replace") as f:
                f.seek(at)
                return [line for line in f.read().splitlines()
                        if not re.match(r"\t|CPU\d|r8|r9|    P|[defg]s:|ldtr|[gi]dtr", line)]
        except OSError as error:
            return ["its debugger does not answer: %s" % error]

    def failure_lines(self):
        lines = [line for line in self.read_log().splitlines()
                 if re.match(r"\d+[pe]\[(CPU|MEM|APIC|XGUI|SER|ACPI)|.*>>PANIC<<", line)
                 # Of performance counters, at each tick of the clock.
                 and not line.rstrip().endswith(("register 0x1d9", "register 0xe7", "register 0xe8"))]
        return lines[-20:] or self.read_log().splitlines()[-8:]

    def ticks(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            stamps = re.findall(r"^(\d{11,})[a-z]\[", f.read(), re.MULTILINE)
        return int(stamps[-1]) if stamps else None


class Qemu(Emulator):
    name = "QEMU"

    def __init__(self, args, workdir, kernel, initrd):
        super().__init__(args, workdir, kernel, initrd)
        # One processor alone writes no text that another one translates. Who has a monitor may use QEMU's
        # debugger stub, of which there is one.
        watched = args.cpus > 1 and not args.monitor
        self.watch = stale.Watch(self.path("watch"), self.path("stub")) if watched else None

    def look(self):
        if self.watch:
            self.watch.look()

    def remarks(self):
        return ["stood with interrupts off, and QEMU was made to translate its text again: " + place
                for place in (self.watch.freed if self.watch else [])]

    def tsc(self):
        """The value that the kernel's own measurement would find on an idle machine.

        On a busy one it is off, and a guest saved in one machine is refused by the next.
        """
        khz = tsc.khz() if self.args.icount is None else None
        return ["tsc_early_khz=%d" % khz] if khz else []

    def start(self):
        # A model may also ask for a processor without it: EPYC,-svm.
        model = self.args.cpu_model + ("" if "svm" in self.args.cpu_model else ",+svm")
        argv = ["qemu-system-x86_64", "-M", "q35", "-cpu", model,
                "-m", str(self.args.memory), "-smp", str(self.args.cpus),
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-qmp", "unix:%s,server=on,wait=off" % self.path("monitor"),
                "-qmp", "unix:%s,server=on,wait=off" % self.path("watch"),
                "-kernel", self.kernel, "-initrd", self.initrd,
                "-append", " ".join(self.command_line() + self.tsc() + [self.args.append])]
        if self.args.icount is not None:
            argv += ["-accel", "tcg,thread=single",
                     "-icount", "shift=%d,sleep=off" % self.args.icount]
        else:
            argv += ["-accel", "tcg" + (",thread=single" if os.environ.get("ONE_THREAD") else "")]
        if self.args.drive:
            argv += ["-drive", "file=%s,format=raw,if=virtio,snapshot=on"
                     % os.path.abspath(self.args.drive)]
        if self.args.shell:
            argv += ["-chardev", "socket,id=console,path=%s,server=on,wait=on" % self.path("socket"),
                     "-serial", "chardev:console"]
        else:
            argv += ["-serial", "file:" + self.console, "-serial", "file:" + self.channel]
        if self.args.line:
            argv += ["-chardev", "socket,id=line,path=%s,server=on,wait=off" % os.path.abspath(self.args.line),
                     "-device", "isa-serial,chardev=line,index=2"]
        if self.args.output:
            argv += ["-chardev", "file,id=output,path=" + self.output,
                     "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=output,nr=1"]
        if self.args.balloon:
            # Behind a port of its own, "slot1", from which it can be unplugged.
            argv += ["-device", "pcie-root-port,id=slot1,slot=1",
                     "-device", "virtio-balloon-pci,id=balloon,bus=slot1",
                     "-qmp", "unix:%s,server=on,wait=off" % os.path.abspath(self.args.balloon)]
        if self.args.monitor:
            argv += ["-qmp", "unix:%s,server=on,wait=off" % os.path.abspath(self.args.monitor)]
        if self.args.link:
            role, port = self.args.link.split(":")
            if role == "connect":
                wait_for_listener(int(port))
            argv += ["-netdev", "socket,id=link,%s=127.0.0.1:%s" % (role, port),
                     "-device", "virtio-net-pci,netdev=link,romfile=,mac=52:54:00:00:00:%02d" %
                     (1 if role == "listen" else 2)]
        self.spawn(argv)

    def where_it_stands(self):
        """Two looks, as a processor that waits is told from one that runs in a circle; then its stack."""
        lines = []
        try:
            monitor = qmp.Qmp(self.path("monitor"), patience=10)
            for _ in range(2):
                lines += [line for line in monitor.for_people("info registers -a")
                          if re.match(r"CPU#|R|CR", line)]
                time.sleep(0.5)
            for cpu, rsp in enumerate(re.findall(r"[ER]SP=(\w+)", "\n".join(lines))[-self.args.cpus:]):
                lines += ["CPU#%d" % cpu] + monitor.for_people("x/6i $pc", cpu) + \
                    monitor.for_people("x/64xg 0x" + rsp, cpu)
        except (OSError, ValueError) as error:
            lines.append("its monitor does not answer: %s" % error)
        return lines

    def connect(self):
        for _ in range(100):
            try:
                line = socket.socket(socket.AF_UNIX)
                line.connect(self.path("socket"))
                return line
            except OSError:
                line.close()
                if self.wait(0.1):
                    break
        raise OSError("QEMU did not start:\n%s" % self.read_log()[-2000:])

    def failure_lines(self):
        # Why it gave up stands before the registers, of which not all are of interest.
        return [line for line in self.read_log().splitlines()
                if "TCG doesn't support requested feature" not in line
                and not re.match(r"[XYZ]MM|FPR|Opmask", line)][-32:]


class Uml(Emulator):
    """No emulator at all: the kernel is a process, and its processor this computer's."""

    name = "User Mode Linux"

    def start(self):
        with open(self.console, "wb") as console, open(self.channel, "wb") as channel:
            terminal = "null,fd:1"
            descriptors = [channel.fileno()]
            if self.args.shell:
                self.line, other = socket.socketpair()
                descriptors.append(other.fileno())
                terminal = "fd:%d" % other.fileno()
            argv = [self.kernel, "mem=%dM" % self.args.memory, "initrd=" + self.initrd,
                    # The computer's random numbers are as good as a processor's.
                    "quiet", "random.trust_cpu=on", "con=null", "con0=" + terminal, "ssl=null",
                    "ssl1=null,fd:%d" % channel.fileno(), *self.args.append.split()]
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                cwd=self.workdir, pass_fds=descriptors, preexec_fn=die_with_parent,
                # Its processes are processes here.  A session of their own: a Ctrl-C that ends
                # the kernel before them would leave them behind.
                start_new_session=True,
                # UML keeps its control socket below HOME.
                env={**os.environ, "HOME": self.workdir})
            if self.args.shell:
                other.close()

    def kill(self):
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # none is left
            self.process.wait()

    def connect(self):
        return self.line

    def failure_lines(self):
        return []

    def cpu_seconds(self):
        """Of the kernel itself, in which guests are interpreted; not of its processes."""
        try:
            with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as f:
                fields = f.read().rpartition(")")[2].split()
        except FileNotFoundError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_listener(port, seconds=60):
    """Until somebody listens on the loopback port. A try to connect would be taken for the peer."""
    wanted = "0100007F:%04X" % port
    for _ in range(seconds * 10):
        with open("/proc/net/tcp", encoding="ascii") as f:
            # Local address, peer, state: 0A is LISTEN.
            if any(line.split()[1:4:2] == [wanted, "0A"] for line in f):
                return
        time.sleep(0.1)
    raise OSError("nobody listens on port %d for the link" % port)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


CLASSES = {"vmx": Bochs, "svm": Qemu, "interp": Uml}
