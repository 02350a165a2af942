# SPDX-License-Identifier: GPL-2.0-only
"""Makes the image that a test machine boots: the stock Debian kernel and an initramfs.

All of it comes from Debian packages. What is slow to get is kept in the cache
under names that carry a digest of, or the version of, what it was made from.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import platform
import re
import shutil
import stat
import struct
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUSYBOX = "/bin/busybox"
PROGRAMS = [os.path.join(HERE, name + ".c") for name in ("agent", "wire", "pulse")]
DIRECTORIES = ("bin", "boot", "dev", "etc", "lib", "lib64", "machine", "output", "proc", "root",
               "run", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "var")


class ImageError(Exception):
    """An input is missing or not usable."""


def debian_kernel():
    """The version of this Debian's own kernel: 6.1 on Debian 12, 6.12 on Debian 13."""
    return {"13": "6.12"}.get(platform.freedesktop_os_release().get("VERSION_ID"), "6.1")


def release():
    """The kernel release of the newest installed headers of it: 6.1.0-N-cloud-amd64."""
    found = glob.glob("/usr/src/linux-headers-%s.*-cloud-amd64" % debian_kernel())
    if not found:
        raise ImageError("no linux-headers-cloud-amd64 installed: run tools/testing/machine/packages")
    newest = max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])
    return os.path.basename(newest)[len("linux-headers-"):]


def run(*argv, **kwargs):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **kwargs).stdout


def link_tree(tree, parts, directory):
    """A tree of links: newer kernels find no sources by src=, and write beside what they build."""
    wanted = set()
    for part in parts:
        top = os.path.join(tree, part)
        for path in [top] if os.path.isfile(top) else \
                [os.path.join(parent, name) for parent, _, names in os.walk(top) for name in names]:
            link = os.path.join(directory, os.path.relpath(path, tree))
            wanted.add(link)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if not os.path.islink(link) or os.readlink(link) != path:
                if os.path.lexists(link):
                    os.unlink(link)
                os.symlink(path, link)
    for parent, _, names in os.walk(directory):
        for name in names:
            link = os.path.join(parent, name)
            if os.path.islink(link) and link not in wanted:
                os.unlink(link)


class Cpio:
    """Writes a "newc" archive, as the kernel unpacks it; root owns everything."""

    def __init__(self, out):
        self.out = out
        self.inode = 0
        self.written = set()

    def _entry(self, name, mode, data=b""):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self.out.write(header + encoded + b"\0" * (-(len(header) + len(encoded)) % 4))
        self.out.write(data + b"\0" * (-len(data) % 4))

    def directory(self, name):
        name = name.strip("/")
        if not name or name in self.written:
            return
        self.directory(os.path.dirname(name))
        self.written.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def symlink(self, name, target):
        self.directory(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def data(self, name, data, mode=0o644):
        self.directory(os.path.dirname(name))
        self.written.add(name.strip("/"))
        self._entry(name.strip("/"), stat.S_IFREG | mode, data)

    def file(self, name, path):
        with open(path, "rb") as f:
            self.data(name, f.read(), stat.S_IMODE(os.stat(path).st_mode))
        for library in needed_libraries(path):
            if library.strip("/") not in self.written:
                self.file(library, library)

    def tree(self, directory, prefix=""):
        for parent, directories, files in sorted(os.walk(directory)):
            directories.sort()
            relative = os.path.normpath(os.path.join(prefix, os.path.relpath(parent, directory)))
            self.directory("" if relative == "." else relative)
            for name in sorted(files):
                path = os.path.join(parent, name)
                if os.path.islink(path):
                    self.symlink(os.path.join(relative, name), os.readlink(path))
                else:
                    self.file(os.path.join(relative, name), path)

    def end(self):
        self._entry("TRAILER!!!", 0)
        self.out.write(b"\0" * (-self.out.tell() % 512))


def has_interpreter(path):
    """Whether a file is a dynamically linked x86-64 program."""
    with open(path, "rb") as f:
        header = f.read(64)
        if len(header) < 64 or header[:5] != b"\x7fELF\x02":
            return False
        offset, = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        f.seek(offset)
        table = f.read(size * count)
    return any(struct.unpack_from("<I", table, i * size)[0] == 3 for i in range(len(table) // size)) \
        if size else False


def needed_libraries(path):
    if not has_interpreter(path):
        return []
    listing = run("ldd", path)
    if "not found" in listing:
        raise ImageError("%s: a shared library is missing:\n%s" % (path, listing))
    return re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listing, re.MULTILINE)


def bzimage(directory):
    path = os.path.join(directory, "arch/x86/boot/bzImage")
    if not os.path.exists(path):
        raise ImageError("--kernel %s: there is no arch/x86/boot/bzImage in it" % directory)
    return path


class StockKernel:
    """The unpacked linux-image package that belongs to the installed headers."""

    def __init__(self, directory, version, builtin=None):
        """@builtin: the list of what is built in, where the package of the kernel does not have it."""
        self.directory = directory
        self.release = version
        self.vmlinuz = os.path.join(directory, "boot", "vmlinuz-" + version)
        self.modules = os.path.join(directory, "lib", "modules", version)
        self.builtin = builtin or os.path.join(self.modules, "modules.builtin")

    def module_files(self, names):
        """The files of modules and of what they depend on, relative to self.modules."""
        depends = {}
        with open(os.path.join(self.modules, "modules.dep"), encoding="ascii") as f:
            for line in f:
                path, _, rest = line.partition(":")
                name = os.path.basename(path).split(".")[0].replace("-", "_")
                depends[name] = [path] + rest.split()
        # The packages of 7.3 have it with the headers alone.
        if os.path.exists(self.builtin):
            with open(self.builtin, encoding="ascii") as f:
                depends.update((os.path.basename(path).split(".")[0].replace("-", "_"), []) for path in f)
        files = []
        for name in names:
            try:
                files += depends[name.replace("-", "_")]
            except KeyError:
                raise ImageError("the stock kernel has no module %s" % name) from None
        return sorted(set(files))


class Cache:
    """Directory of things that are slow to make; safe for runs side by side."""

    def __init__(self):
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.directory = os.environ.get("GONDOLA_CACHE") or os.path.join(base, "gondola")
        os.makedirs(self.directory, exist_ok=True)

    @contextlib.contextmanager
    def _locked(self, name):
        with open(os.path.join(self.directory, ".lock-" + name), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def get(self, name, make):
        """The path of an entry; make(path) fills it when it is new."""
        path = os.path.join(self.directory, name)
        if os.path.exists(path):
            return path
        with self._locked(name):
            if not os.path.exists(path):
                scratch = tempfile.mkdtemp(prefix=".new-", dir=self.directory)
                try:
                    make(os.path.join(scratch, "entry"))
                    os.rename(os.path.join(scratch, "entry"), path)
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
        return path

    def stock_kernel(self):
        version = release()
        package = run("dpkg-query", "-W", "-f", "${Version}", "linux-headers-" + version)
        path = self.get("linux-image-%s_%s" % (version, package),
                        lambda entry: unpack_kernel(entry, version, package))
        return StockKernel(path, version)

    def base(self):
        """The cpio with busybox and its applets, and the machine's agent."""
        digest = hashlib.sha256()
        for path in (BUSYBOX, *PROGRAMS, os.path.abspath(__file__)):
            if not os.path.exists(path):
                raise ImageError("%s is missing: run tools/testing/machine/packages" % path)
            with open(path, "rb") as f:
                digest.update(f.read())
        return self.get("base-%s" % digest.hexdigest()[:16], make_base)


def unpack_kernel(entry, version, package):
    name = "linux-image-" + version
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        try:
            run("apt-get", "download", "-q", "%s=%s" % (name, package), cwd=scratch)
        except subprocess.CalledProcessError as error:
            raise ImageError(
                "cannot download %s %s, which belongs to the installed headers (apt-get update, "
                "or upgrade linux-headers-cloud-amd64):\n%s" % (name, package, error.stderr)) from error
        run("dpkg", "-x", glob.glob(os.path.join(scratch, "*.deb"))[0], entry)
    settle(entry, version)


def settle(entry, version):
    """An unpacked kernel as Debian 12 has it: modules that are not packed, links where newer suites moved things."""
    # Debian 13 has modules packed, and below /usr: the machine's insmod does not unpack. The link comes
    # after, or each would be found twice.
    packed = glob.glob(os.path.join(glob.escape(entry), "**/*.ko.xz"), recursive=True)
    if packed:
        run("xz", "-d", *packed)
    if not os.path.exists(os.path.join(entry, "lib")):
        os.symlink("usr/lib", os.path.join(entry, "lib"))
    if not os.path.exists(os.path.join(entry, "boot")):
        os.mkdir(os.path.join(entry, "boot"))
        os.symlink("../usr/lib/modules/%s/vmlinuz" % version, os.path.join(entry, "boot", "vmlinuz-" + version))
    run("depmod", "-b", entry, version,
        env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/sbin:/usr/sbin"})


def make_base(entry):
    os.mkdir(entry)
    for source in PROGRAMS:
        program = os.path.join(entry, os.path.splitext(os.path.basename(source))[0])
        run("gcc", "-static", "-O2", "-s", "-Wall", "-o", program, source)
    with open(os.path.join(entry, "busybox.cpio"), "wb") as out:
        cpio = Cpio(out)
        for directory in DIRECTORIES:
            cpio.directory(directory)
        cpio.file("bin/busybox", BUSYBOX)
        for applet in run(BUSYBOX, "--list").split():
            if applet != "busybox":
                cpio.symlink("bin/" + applet, "busybox")
        cpio.data("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        cpio.data("etc/group", b"root:x:0:\n")
        cpio.end()


def add_path(cpio, spec):
    """--files PATH[:DEST]"""
    path, _, destination = spec.partition(":")
    if os.path.isdir(path):
        cpio.tree(path, destination.strip("/"))
    elif os.path.isfile(path):
        if not destination or destination.endswith("/"):
            destination = (destination or "root/") + os.path.basename(path)
        cpio.file(destination, path)
    else:
        raise ImageError("--files %s: there is no such file or directory" % path)


def add_modules(cpio, stock, names):
    """Modules of the stock kernel for modprobe, with what they depend on: NAME,..."""
    wanted = stock.module_files([name for name in names.split(",") if name])
    if not wanted:
        return
    prefix = "lib/modules/" + stock.release
    for path in wanted:
        cpio.file(os.path.join(prefix, path), os.path.join(stock.modules, path))
    with open(os.path.join(stock.modules, "modules.dep"), encoding="ascii") as f:
        lines = [line for line in f if line.partition(":")[0] in wanted]
    cpio.data(prefix + "/modules.dep", "".join(lines).encode())
    # Without it modprobe fails for what is built in.
    if os.path.exists(stock.builtin):
        cpio.file(prefix + "/modules.builtin", stock.builtin)


def guest_initrd(base, stock, directory, modules):
    """busybox, the guest's own files and modules, as bytes."""
    if not os.path.isfile(os.path.join(directory, "init")):
        raise ImageError("--guest %s: it has no init" % directory)
    busybox = os.path.join(stock.directory, "bin/busybox")
    with open(os.path.join(base, "busybox.cpio"), "rb") as f, tempfile.TemporaryFile() as out:
        shutil.copyfileobj(f, out)
        cpio = Cpio(out)
        # A kernel that does not run the machine's own brings one: it takes the other's place.
        if os.path.exists(busybox):
            with open(busybox, "rb") as program:
                cpio.data("bin/busybox", program.read(), 0o755)
        cpio.tree(directory)
        add_modules(cpio, stock, modules)
        cpio.end()
        out.seek(0)
        return out.read()


def write_initrd(out, cache, stock, guest, args, machine_files):
    """The machine's initramfs: the cached archive, then a small fresh one."""
    base = cache.base()
    with open(os.path.join(base, "busybox.cpio"), "rb") as f:
        shutil.copyfileobj(f, out)
    cpio = Cpio(out)
    cpio.file("init", os.path.join(HERE, "init"))
    cpio.file("machine/agent", os.path.join(base, "agent"))
    if args.link and args.engine == "vmx":
        cpio.file("machine/wire", os.path.join(base, "wire"))
    if args.engine == "svm":
        cpio.file("machine/pulse", os.path.join(base, "pulse"))
    for name, text in machine_files.items():
        cpio.data(name, text.encode())
    for spec in args.files:
        add_path(cpio, spec)
    # These come on virtio over PCI, which the stock kernel has as modules.
    add_modules(cpio, stock, args.modules + (",virtio_pci,virtio_blk" if args.drive else "") +
                (",virtio_pci,virtio_console" if "machine/port" in machine_files else ""))
    if args.guest:
        cpio.file("boot/vmlinuz", guest.vmlinuz)
        cpio.data("boot/initrd-guest", guest_initrd(base, guest, args.guest, args.guest_modules))
    cpio.end()
