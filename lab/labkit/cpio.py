# SPDX-License-Identifier: BSD-2-Clause
"""Writes initial RAM file systems: cpio archives in the "newc" format.

Linux Documentation/driver-api/early-userspace/buffer-format.rst describes it.
Everything in an archive belongs to root. Missing parent folders are added.
"""

import os
import stat


class Archive:
    def __init__(self):
        self._parts = []
        self._known = {""}
        self._inode = 0
        # The root folder itself, which would be writable for all.
        self._entry(".", stat.S_IFDIR | 0o755)

    def _entry(self, path, mode, data=b"", device=(0, 0)):
        self._inode += 1
        name = path.encode() + b"\0"
        fields = (
            self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name), 0,
        )
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self._parts.append(header + b"\0" * (-len(header) % 4))
        if data:
            self._parts.append(data)
            self._parts.append(b"\0" * (-len(data) % 4))

    def _add(self, path, mode, data=b"", device=(0, 0)):
        path = path.strip("/")
        if path in self._known:
            return
        self.folder(os.path.dirname(path))
        self._known.add(path)
        self._entry(path, mode, data, device)

    def __contains__(self, path):
        return path.strip("/") in self._known

    def folder(self, path, mode=0o755):
        if path.strip("/"):
            self._add(path, stat.S_IFDIR | mode)

    def blob(self, path, data, mode=0o644):
        self._add(path, stat.S_IFREG | mode, data)

    def text(self, path, content, mode=0o644):
        self.blob(path, content.encode(), mode)

    def file(self, path, source, mode=None):
        """Adds the file SOURCE of this machine, with its own mode unless told."""
        with open(source, "rb") as file:
            data = file.read()
            if mode is None:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        self.blob(path, data, mode)

    def link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def device(self, path, mode, major, minor):
        self._add(path, stat.S_IFCHR | mode, device=(major, minor))

    def tree(self, path, source):
        """Adds the folder SOURCE with everything in it."""
        self.folder(path)
        for root, folders, files in os.walk(source):
            inside = os.path.normpath(os.path.join(path, os.path.relpath(root, source)))
            for name in sorted(folders + files):
                here = os.path.join(root, name)
                if os.path.islink(here):
                    self.link(os.path.join(inside, name), os.readlink(here))
                elif os.path.isdir(here):
                    self.folder(os.path.join(inside, name))
                elif os.path.isfile(here):
                    self.file(os.path.join(inside, name), here)

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self._parts)
