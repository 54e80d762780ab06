"""How many files and sockets this process may have open, and how many of them may be clients'.

What is open for other things is counted, not estimated: the index keeps a file for each of its segments, of which an
owner of ten million faces has ten, but each owner of some two thousand faces has one.
"""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facenapi.config.options import Config

_MOST = 65536  # more than any use of ours; some systems allow a billion
_OWN = 128  # files of the database, pipes, standard streams, refusals that linger, segments that are being built


def raise_limit() -> int:
    """Raise the soft limit as far as the system lets us, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """Return the soft limit."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST if soft == resource.RLIM_INFINITY else soft


def open_now() -> int:
    """Return how many are open; takes a millisecond for some thousands."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1  # that of the listing


def for_clients(config: Config, held: int = 0) -> tuple[int, bool]:
    """Return how many connections of clients there may be, and whether the limit leaves enough for all else.

    ``held``: what is open for other things now.
    """
    own = max(_OWN + config.mongo_pool_size + config.tntapi_max_clients + config.fetch_max_clients, _OWN + held)
    least = limit() // 4
    room = max(limit() - own, least)
    return min(config.max_connections or room, room), limit() - own >= least
