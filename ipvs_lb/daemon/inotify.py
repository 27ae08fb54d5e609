"""inotify(7) as a bell: it rings when something may have changed at the places that are watched.

What has changed is not asked: whoever hears the bell looks at the files. So an overflow of the kernel's queue, a watch
that ended with its file and an event about something else are nothing special.

pyroute2's wrapper blocks and raises KeyError on an overflow, libraries bring names and threads that nobody here needs:
what is left is four system calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping

_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0xC0, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _ONLYDIR = 0x400, 0x800, 0x01000000  # linux/inotify.h
NAMES = _CREATE | _DELETE | _MOVED | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
"""Rings when a name comes to a directory or goes."""
CONTENT = _MODIFY | _CLOSE_WRITE | _ATTRIB | _DELETE_SELF | _MOVE_SELF
"""Rings when a file is written, touched or removed, under whatever name that is done."""

# linux/magic.h. Every change passes this kernel; on others (NFS, FUSE, 9p, hostfs) another machine may write unheard.
_LOCAL = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # Btrfs
        0xF2F52010,  # F2FS
        0x2FC12FC1,  # ZFS
        0xCA451A4E,  # bcachefs
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0x794C7630,  # overlayfs
        0x73717368,  # SquashFS
        0xE0F5E1E2,  # EROFS
    }
)
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_EVENTS = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class Bell:
    """Readable when it has rung; `hush` ends that. Makes do without a kernel that has inotify to give: it stays silent."""

    def __init__(self) -> None:
        self._descriptor: int = _libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        self._watches: frozenset[int] = frozenset()

    @property
    def can_ring(self) -> bool:
        """Whether the kernel had an inotify for us: how many a user can have is limited."""
        return self._descriptor >= 0

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._descriptor

    def close(self) -> None:
        """Give it back."""
        if self.can_ring:
            os.close(self._descriptor)
            self._descriptor = -1

    def hush(self) -> None:
        """Forget that it has rung."""
        try:
            while os.read(self._descriptor, _EVENTS):
                pass
        except BlockingIOError:
            return

    def watch(self, places: Mapping[str, int]) -> bool:
        """Ring for exactly *places*, paths with `NAMES` or `CONTENT`; whether it will for every one that is there."""
        if not self.can_ring:
            return not places
        found = {path: self._add(path, mask) for path, mask in places.items()}
        watches = frozenset(number for number in found.values() if number >= 0)
        for stale in self._watches - watches:
            _libc.inotify_rm_watch(self._descriptor, stale)  # EINVAL: it ended with its file
        self._watches = watches
        return all(number >= 0 or -number in _GONE for number in found.values())

    def _add(self, path: str, mask: int) -> int:
        """The number of the watch, the same for the same inode; else the negative errno."""
        name = os.fsencode(path)
        number: int = _libc.inotify_add_watch(self._descriptor, name, mask)
        if number < 0:
            return -ctypes.get_errno()
        return number if _kind(name) in _LOCAL else -errno.EREMOTE


def _kind(name: bytes) -> int:
    """The magic number of the file system: the first word of struct statfs."""
    buffer = ctypes.create_string_buffer(512)
    if _libc.statfs(name, buffer) != 0:
        return 0
    return int(ctypes.c_long.from_buffer(buffer).value) & 0xFFFFFFFF
