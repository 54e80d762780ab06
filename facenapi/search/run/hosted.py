"""What shards that this process runs itself have in common: threads, loops, and whether they can be asked yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facenapi.errors import Unavailable

if TYPE_CHECKING:
    from facenapi.process.supervised import Loops
    from facenapi.search.run.threads import Threads
    from facenapi.search.shard import Hit, Query


class Hosted:
    """The part of :class:`facenapi.search.shard.Shard` that does not depend on where vectors are."""

    def __init__(self, threads: Threads, loops: Loops, not_ready: str) -> None:
        """``not_ready``: what is said to who asks too early."""
        self._threads = threads
        self.loops = loops
        self._not_ready = not_ready
        self._ready = self._started = False

    @property
    def ready(self) -> bool:
        """Whether it has caught up with the store and can be searched."""
        return self._ready

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first. Raises Unavailable, Overloaded, or ValueError for a bad probe."""
        self._check_ready()
        return await self._threads.search(query)

    def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable(self._not_ready if self._started else "Search is closed")
