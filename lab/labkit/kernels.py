# SPDX-License-Identifier: BSD-2-Clause
"""The kernels that lab/fetch-kernel unpacked into the cache."""

import os

VERSIONS = ("6.1", "6.12", "debug")

# Where the first module's code is with "nokaslr", seen with both versions. Behind other modules
# it is where the host's /sys/module/vmm/sections/.text says.
FIRST_MODULE = 0xFFFFFFFFC0201000


class Kernel:
    """One unpacked kernel: where its parts are, and its modules' dependencies."""

    def __init__(self, version):
        cache = os.environ.get("VMM_CACHE") or os.path.expanduser("~/.cache/vmm")
        self.folder = os.path.join(cache, "kernels", version)
        self.version = version
        self.vmlinuz = os.path.join(self.folder, "vmlinuz")
        self.vmlinux = os.path.join(self.folder, "vmlinux")
        self.modules = os.path.join(self.folder, "modules")
        with open(os.path.join(self.folder, "release"), encoding="ascii") as file:
            self.release = file.read().strip()

    def _dependencies(self):
        """Maps each module's name to its path and the paths it needs loaded before."""
        table = {}
        with open(os.path.join(self.modules, "modules.dep"), encoding="ascii") as file:
            for line in file:
                path, _, needed = line.partition(":")
                name = os.path.basename(path).partition(".ko")[0].replace("-", "_")
                table[name] = [path] + needed.split()
        return table

    def module_lines(self, names):
        """Returns (path, needed paths) for the modules NAMES and all that they need."""
        if not names:
            return []
        table = self._dependencies()
        by_path = {entry[0]: entry for entry in table.values()}
        lines = {}
        for name in names:
            entry = table.get(name.replace("-", "_"))
            if entry is None:
                raise ValueError(f"Linux {self.release} has no module {name}")
            for path in entry:
                lines[path] = by_path[path][1:]
        return sorted(lines.items())
