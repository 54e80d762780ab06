"""Comparing an index with the store, face by face: what the change feed cannot tell.

A segment may be read from a disk that lost something, a snapshot may belong to another store in a way that
nobody has thought of. Reading the whole feed brings back what is missing; what the feed did not mention, or
mentioned in another revision, has to go, and is read again if it is still there.

So have the vectors of an older model whose faces have moved to a newer one (``facenapi regenerate``), but
not before the servers have: until nobody searches among them any more, they stay.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from facenapi.search.index.collection import Collection
    from facenapi.search.index.index import Index
    from facenapi.storage.base import Changes

RETIRE_S = 6 * 3600.0  # a model is old when the owner has searched another so long after the last search in it


class Reconciliation:
    """The faces that a reading of the whole feed has seen. ``rev``: that of the index at its start."""

    def __init__(self, rev: int) -> None:
        self._rev = rev
        self._seen: dict[str, dict[str, list[NDArray[np.int64]]]] = defaultdict(lambda: defaultdict(list))

    def count(self, page: Changes) -> None:
        """Take note of the faces on a page."""
        keys = defaultdict(list)
        for face in page.faces:
            keys[face.owner, face.model].append((face.id, face.rev))
        for (owner, model), some in keys.items():
            self._seen[owner][model].append(np.array(some, np.int64))

    def remove_strangers(self, index: Index) -> int:
        """Remove the faces that the store has not in this revision; return how many. What came meanwhile stays.

        Vectors of old models go as well, and a collection that has none left; they are not counted.
        """
        removed = 0
        for (owner, model), collection in list(index.collections.items()):
            seen = self._seen[owner]
            removed += collection.discard(partial(self._strange, _table(chain.from_iterable(seen.values()))))
            if _is_old(index, owner, collection):
                collection.discard(partial(self._strange, _table(seen[model])))
                if not collection.live:
                    index.remove(owner, model)
        return removed

    def _strange(self, seen: NDArray[np.int64], ids: NDArray[np.int64], revs: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(seen):
            return revs <= self._rev
        places = np.minimum(np.searchsorted(seen[:, 0], ids), len(seen) - 1)
        strange: NDArray[np.bool_] = (seen[places, 0] != ids) | (seen[places, 1] < revs)
        return (revs <= self._rev) & strange


def _table(pieces: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return ids and newest revisions, (count, 2), in the order of ids, of pieces in any order.

    There may be millions, and the interpreter is not held meanwhile: who sorted them as objects would stop the whole
    server for seconds.
    """
    keys = np.concatenate([np.empty((0, 2), np.int64), *pieces])
    keys = keys[np.lexsort((keys[:, 1], keys[:, 0]))]
    last: NDArray[np.int64] = keys[np.flatnonzero(np.diff(keys[:, 0], append=-1))]
    return last


def _is_old(index: Index, owner: str, collection: Collection) -> bool:
    latest = max(other.searched_at for other in index.of_owner(owner))
    return latest - collection.searched_at > RETIRE_S
