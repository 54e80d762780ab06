"""All collections of a shard: who owns them, what was deleted, and what a change does to them."""

from __future__ import annotations

import logging
import math
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.errors import Unavailable
from facenapi.search.index.collection import Collection
from facenapi.search.index.stored import DamagedError
from facenapi.search.shard import Change, Delete, Hit, Query, Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

TOMBSTONE_S = 3600.0  # longer than any change can be on its way


class Index:
    """Collections by owner and model. One thread may write while others search."""

    def __init__(self, capacity: int | None = None) -> None:
        """``capacity``: rows of a buffer; None for the measured best."""
        self.capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Begin anew, with nothing."""
        self.rev = 0  # up to which it has what the store's change feed tells
        self.collections: dict[tuple[str, str], Collection] = {}
        self.unfit: set[tuple[str, str]] = set()  # collections that are damaged, or not read anew yet
        self._of_owner: dict[str, list[Collection]] = {}
        self._tombstones: dict[tuple[str, int], tuple[int, float]] = {}

    def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """Return the hits of searches that differ in their probes only, best first; raise ValueError if one of these
        is no unit vector of the model's, Unavailable if what they need is damaged: it has to be read anew."""
        like = queries[0]
        key = like.owner, like.model
        collection = self.collections.get(key)
        if key not in self.unfit:
            if collection is None:
                return [[] for _ in queries]
            try:
                return collection.search([query.probe for query in queries], like.n, like.min_similarity, like.tag)
            except DamagedError as error:
                self.tell_unfit(key, collection, error)
        raise Unavailable("The search index is being rebuilt")

    def tell_unfit(self, key: tuple[str, str], collection: Collection, error: DamagedError) -> None:
        """Let a collection not be searched any more: a file of it is damaged. Any thread may call it."""
        if self.collections.get(key) is collection:
            self.unfit.add(key)
            log.warning("A search collection of %s is rebuilt from the store: %s", key[1], error)

    def drop_unfit(self) -> frozenset[tuple[str, str]]:
        """Remove the damaged collections; return which these are."""
        unfit = frozenset(self.unfit)
        for key in unfit & self.collections.keys():
            self.remove(*key)
        return unfit

    def add(self, owner: str, model: str, collection: Collection) -> None:
        """Have a collection that was not there."""
        self.collections[owner, model] = collection
        self._of_owner.setdefault(owner, []).append(collection)

    def remove(self, owner: str, model: str) -> None:
        """Have a collection no longer."""
        self._of_owner[owner].remove(self.collections.pop((owner, model)))

    def of_owner(self, owner: str) -> Sequence[Collection]:
        """Return the collections of an owner, one a model."""
        return self._of_owner.get(owner, ())

    def take(self, change: Change) -> str | None:
        """Apply a change, in whatever order changes come; return why it was refused, None if it was not."""
        if isinstance(change, Delete):
            self._bury(change)
            return None
        return self._upsert(change)

    def _upsert(self, change: Upsert) -> str | None:
        rev, _ = self._tombstones.get((change.owner, change.id), (-1, 0.0))
        if rev >= change.rev:
            return None
        try:
            vector = unit_vector(change.embedding)
        except ValueError as error:
            return f"face {change.id}: {error}"
        collection = self.collections.get((change.owner, change.model))
        if collection is None:
            collection = Collection(len(vector), self.capacity)
            self.add(change.owner, change.model, collection)
        if len(vector) != collection.dim:
            return f"face {change.id}: {len(vector)} numbers, but those of {change.model} have {collection.dim}"
        collection.upsert(change.id, change.rev, change.tags, vector)
        for other in self.of_owner(change.owner):  # a vector of an older model stays until that is retired
            if other is not collection:
                other.retag(change.id, change.rev, change.tags)
        return None

    def _bury(self, change: Delete) -> None:
        for collection in self.of_owner(change.owner):
            collection.delete(change.id, change.rev)
        key, now = (change.owner, change.id), time.monotonic()
        rev, _ = self._tombstones.pop(key, (-1, 0.0))
        self._tombstones[key] = (max(rev, change.rev), now)

    def prune(self) -> None:
        """Forget deletes so old that no change from before them can still come. The writing thread calls it."""
        end = time.monotonic() - TOMBSTONE_S
        old = takewhile(lambda entry: entry[1][1] <= end, self._tombstones.items())  # they are in the order of time
        for key in [key for key, _ in old]:
            del self._tombstones[key]

    @property
    def newest(self) -> int:
        """The highest revision of any vector, 0 without any."""
        parts = [part for collection in list(self.collections.values()) for part in collection.parts if part.count]
        return max((int(part.revs[: part.count].max()) for part in parts), default=0)

    @property
    def waiting(self) -> int:
        """How many sealed buffers wait in the collection that has the most of them."""
        return max((collection.waiting for collection in list(self.collections.values())), default=0)

    @property
    def live(self) -> int:
        """How many vectors there are."""
        return sum(collection.live for collection in list(self.collections.values()))

    def list_collections(self) -> list[dict[str, Any]]:
        """Return owner, model and sizes of each collection."""
        return [
            {
                "owner": owner,
                "model": model,
                "dim": c.dim,
                "faces": c.live,
                "parts": [
                    {"kind": type(part).__name__.lower(), "rows": part.count, "faces": part.live} for part in c.parts
                ],
            }
            for (owner, model), c in list(self.collections.items())
        ]


def unit_vector(embedding: bytes) -> NDArray[np.float32]:
    """Return little-endian float32 bytes as a unit vector (dim,); raise ValueError if that cannot be."""
    if not embedding or len(embedding) % 4:
        raise ValueError(f"{len(embedding)} bytes are no float32 vector")
    vector = np.frombuffer(embedding, "<f4")
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(vector @ vector)
    if not math.isfinite(square) or square < 1e-12:
        raise ValueError("the embedding is zero or not finite")
    return vector * np.float32(1 / math.sqrt(square))
