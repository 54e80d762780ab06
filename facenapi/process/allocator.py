"""Asking the C library to give the memory of photos, and of what segments are made of, back.

glibc raises its threshold for separate mappings to the largest block that was freed, up to 32 MB, and keeps
what lies below for reuse, per arena: after a few dozen photos of 24 megapixels a server held three times the
memory it needed. With fixed thresholds it peaks a quarter lower and falls back to half. The same is true of the codes
in a shard: 50 MB of them took 200 after they had been loaded four times, and take 64.
"""

from __future__ import annotations

import ctypes

_LIBRARY = ctypes.CDLL(None)  # what is loaded already; to look for the C library starts a process
# Parameters of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def return_large_blocks() -> None:
    """Map blocks from 2 MB on separately, keep 20 MB free at most, use four arenas. Without glibc: nothing."""
    if hasattr(_LIBRARY, "mallopt"):
        _LIBRARY.mallopt(_M_MMAP_THRESHOLD, 2_000_000)
        _LIBRARY.mallopt(_M_TRIM_THRESHOLD, 20_000_000)
        _LIBRARY.mallopt(_M_ARENA_MAX, 4)


def trim() -> None:
    """Give back whole pages that are free, in all arenas; takes milliseconds. Without glibc: nothing."""
    if hasattr(_LIBRARY, "malloc_trim"):
        _LIBRARY.malloc_trim(0)
