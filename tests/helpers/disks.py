"""Disks that are full or may not be written, for tests."""

import os
import resource
import subprocess


class FullDisk:
    """A tmpfs that is soon full; without the right to mount one, a limit on the size of files."""

    def __init__(self, folder, kilobytes):
        self.folder, self.bytes, self.mounts = folder, kilobytes * 1024, os.geteuid() == 0

    def __enter__(self):
        if self.mounts:
            self._mount("-t", "tmpfs", "-o", f"size={self.bytes}", "tmpfs")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.bytes // 8, resource.RLIM_INFINITY))
        return self

    def enlarge(self):
        if self.mounts:
            self._mount("-o", "remount,size=100m")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def __exit__(self, *_):
        self.enlarge()
        if self.mounts:
            subprocess.run(["umount", self.folder], check=True)

    def _mount(self, *arguments):
        subprocess.run(["mount", *arguments, self.folder], check=True)


class ReadOnly:
    """A folder that cannot be written: a read-only tmpfs; without the right to mount one, by its permissions."""

    def __init__(self, folder):
        self.folder, self.mounts = folder, os.geteuid() == 0

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.mounts:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", self.folder], check=True)
        else:
            self.folder.chmod(0o555)

    def __exit__(self, *_):
        if self.mounts:
            subprocess.run(["umount", self.folder], check=True)
        else:
            self.folder.chmod(0o755)
