#!/usr/bin/env python3
"""Packs an initial ramdisk: busybox, a statically linked program, kernel modules with all that they
need, and files. Modules stand in /modules; /modules/order has them in loading order."""

import argparse
import gzip
import lzma
import pathlib
import re
import stat
import sys

APPLETS = "sh mount mkdir cat echo ls grep insmod sleep poweroff dmesg readlink basename cut head ln test".split()


class Archive:
    """A cpio archive in the kernel's format (newc, Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self.parts = []
        self.inode = 0
        self.folders = set()

    def add(self, path, mode, data=b"", device=(0, 0)):
        path = path.strip("/")
        for parent in reversed(list(pathlib.PurePosixPath(path).parents)[:-1]):
            if str(parent) not in self.folders:
                self.folders.add(str(parent))
                self._entry(str(parent), stat.S_IFDIR | 0o755)
        self._entry(path, mode, data, device)

    def _entry(self, path, mode, data=b"", device=(0, 0)):
        name = path.encode() + b"\0"
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def modules(kernel, wanted):
    """Modules by name with their bytes, those that are needed before those that need them."""
    files = {re.sub(r"\.ko.*", "", path.name).replace("-", "_"): path for path in kernel.rglob("*.ko*")}
    builtin = {re.sub(r"\.ko.*", "", line.rsplit("/", 1)[-1]).replace("-", "_")
               for path in kernel.rglob("modules.builtin") for line in path.read_text().splitlines()}
    order = {}

    def need(name):
        name = name.replace("-", "_")
        if name in order or name in builtin:
            return
        if name not in files:
            sys.exit(f"image: this kernel has no module {name}")
        data = files[name].read_bytes()
        if files[name].suffix == ".xz":
            data = lzma.decompress(data)
        depends = re.search(rb"(?:^|\0)depends=([^\0]*)\0", data)
        for other in filter(None, depends[1].decode().split(",") if depends else []):
            need(other)
        order[name] = data

    for name in wanted:
        need(name)
    return order


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", type=pathlib.Path, required=True, help="folder of an unpacked kernel package")
    parser.add_argument("--busybox", type=pathlib.Path, required=True, help="statically linked")
    parser.add_argument("--program", type=pathlib.Path, required=True, help="statically linked; goes to /bin")
    parser.add_argument("--module", action="append", default=[], help="kernel module to load")
    parser.add_argument("--file", action="append", default=[], metavar="FILE=PATH", help="file and its place")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()

    archive = Archive()
    program, data = stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("bin/busybox", program, args.busybox.read_bytes())
    for applet in APPLETS:
        archive.add(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox")
    archive.add(f"bin/{args.program.name}", program, args.program.read_bytes())
    loaded = modules(args.kernel, args.module)
    for name, content in loaded.items():
        archive.add(f"modules/{name}.ko", data, content)
    archive.add("modules/order", data, "".join(f"{name}\n" for name in loaded).encode())
    for pair in args.file:
        source, _, place = pair.rpartition("=")
        archive.add(place, program, pathlib.Path(source).read_bytes())
    args.output.write_bytes(gzip.compress(archive.bytes(), 1))


if __name__ == "__main__":
    main()
