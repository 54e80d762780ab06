"""Comparing an index with the store, face by face: what the change feed cannot tell.

A tombstone may have been thrown away while the shard was gone for long, a snapshot may belong to another
store, a store may have been restored from a backup. Reading the whole feed brings back what is missing;
what the feed did not mention has to go.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.search.index import Index
    from facenapi.storage.base import Changes


class Census:
    """The ids that a reading of the whole feed has seen, by owner. ``rev``: that of the index at its start."""

    def __init__(self, rev: int) -> None:
        self._rev = rev
        self._seen: dict[str, list[int]] = defaultdict(list)

    def count(self, page: Changes) -> None:
        """Take note of the faces on a page."""
        for face in page.faces:
            self._seen[face.owner].append(face.id)

    def remove_strangers(self, index: Index) -> int:
        """Remove the faces that the store has not; return how many. Those that came meanwhile stay."""
        removed = 0
        for (owner, _), collection in list(index.collections.items()):
            strangers = partial(self._strange, np.sort(np.array(self._seen[owner], np.int64)))
            removed += collection.discard(strangers)
        return removed

    def _strange(self, seen: NDArray[np.int64], ids: NDArray[np.int64], revs: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(seen):
            return revs <= self._rev
        places = np.minimum(np.searchsorted(seen, ids), len(seen) - 1)
        strange: NDArray[np.bool_] = seen[places] != ids
        return (revs <= self._rev) & strange
