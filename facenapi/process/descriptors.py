"""How many files and sockets this process may have open."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facenapi.config.options import Config

_MOST = 65536  # more than any use of ours; some systems allow a billion
_OWN = 128  # files of the database and the index, pipes, standard streams, refusals that linger


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


def for_clients(config: Config) -> int:
    """Return how many connections of clients there may be: what our own connections and files leave."""
    own = _OWN + config.mongo_pool_size + config.tntapi_max_clients + config.fetch_max_clients
    room = max(limit() - own, limit() // 4)
    return min(config.max_connections, room) if config.max_connections else room
