"""Comparing an index with the store, face by face: what the change feed cannot tell.

A tombstone may have been thrown away while the shard was gone for long, a snapshot may belong to another
store, a store may have been restored from a backup. Reading the whole feed brings back what is missing;
what the feed did not mention has to go.

So have the vectors of an older model whose faces have moved to a newer one (``facenapi regenerate``), but
not before the servers have: until nobody searches among them any more, they stay.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.search.index.collection import Collection
    from facenapi.search.index.index import Index
    from facenapi.storage.base import Changes

RETIRE_S = 6 * 3600.0  # a model is old when the owner has searched another so long after the last search in it


class Reconciliation:
    """The ids that a reading of the whole feed has seen. ``rev``: that of the index at its start."""

    def __init__(self, rev: int) -> None:
        self._rev = rev
        self._seen: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))

    def count(self, page: Changes) -> None:
        """Take note of the faces on a page."""
        for face in page.faces:
            self._seen[face.owner][face.model].append(face.id)

    def remove_strangers(self, index: Index) -> int:
        """Remove the faces that the store has not; return how many. Those that came meanwhile stay.

        Vectors of old models go as well, and a collection that has none left; they are not counted.
        """
        removed = 0
        for (owner, model), collection in list(index.collections.items()):
            seen = self._seen[owner]
            known = [face_id for ids in seen.values() for face_id in ids]
            removed += collection.discard(partial(self._strange, np.sort(np.array(known, np.int64))))
            if _is_old(index, owner, collection):
                collection.discard(partial(self._strange, np.sort(np.array(seen[model], np.int64))))
                if not collection.live:
                    index.remove(owner, model)
        return removed

    def _strange(self, seen: NDArray[np.int64], ids: NDArray[np.int64], revs: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(seen):
            return revs <= self._rev
        places = np.minimum(np.searchsorted(seen, ids), len(seen) - 1)
        strange: NDArray[np.bool_] = seen[places] != ids
        return (revs <= self._rev) & strange


def _is_old(index: Index, owner: str, collection: Collection) -> bool:
    latest = max(other.searched_at for other in index.of_owner(owner))
    return latest - collection.searched_at > RETIRE_S
