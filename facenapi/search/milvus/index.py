"""What changes do to the rows in Milvus, and how they are searched.

Milvus replaces a row whatever its revision, so whoever writes looks first. Writers of one server follow
each other; between servers a look and a write may cross, and an older revision may win. Then the server
that wrote it reads the newer change in the store's feed, a moment later, and puts it right.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.index.index import TOMBSTONE_S, unit_vector
from facenapi.search.index.segment import check_probe
from facenapi.search.milvus.engine import BATCH, MOST_HITS
from facenapi.search.milvus.schema import MOST_TAGS, Row, collection_of
from facenapi.search.shard import Change, Delete, Hit, Query, Upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from facenapi.search.milvus.engine import Engine

ECHO_S = 60.0  # longer than it takes the feed to tell of a change that was applied here
FIRST_HITS = 256  # asked for, if a threshold may make the answer short


class Recent:
    """Revisions of owners' faces, forgotten after a while."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._revs: dict[tuple[str, int], tuple[int, float]] = {}

    def rev(self, change: Change) -> int:
        """Return the highest revision noted of the face, -1 if none is remembered."""
        return self._revs.get((change.owner, change.id), (-1, 0.0))[0]

    def note(self, change: Change) -> None:
        """Remember a revision."""
        now, rev = time.monotonic(), max(change.rev, self.rev(change))
        self._revs.pop((change.owner, change.id), None)
        self._revs[change.owner, change.id] = (rev, now)
        while (oldest := next(iter(self._revs))) and self._revs[oldest][1] < now - self._keep_s:
            del self._revs[oldest]


class MilvusIndex:
    """Collections in Milvus by model. One thread may write while others search; all calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tombstones = Recent(TOMBSTONE_S)
        self._done = Recent(ECHO_S)

    # -- reading --------------------------------------------------------------------------------
    def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first; raise ValueError for a probe that is no unit vector of the model's.

        There are at most ``MOST_HITS``: Milvus returns no more.
        """
        if query.n < 1:
            raise ValueError("n must be positive")
        dim = self._engine.find(query.model)
        check_probe(query.probe, dim or len(query.probe))
        if dim is None:
            return []
        most = min(query.n, MOST_HITS)
        floor = -2.0 if query.min_similarity is None else query.min_similarity
        k = most if query.min_similarity is None else min(most, FIRST_HITS)
        while True:
            hits = self._engine.search(query.model, query.owner, query.probe, k, query.tag)
            if k == most or len(hits) < k or hits[-1].similarity < floor:
                return [hit for hit in hits if hit.similarity >= floor]
            k = min(most, 8 * k)

    # -- writing, by one thread -----------------------------------------------------------------
    def take(self, changes: Sequence[Change], *, live: bool) -> list[str]:
        """Apply changes, in whatever order they come; return why some were refused.

        ``live``: they have just happened, so that others of the same faces may be on their way.
        """
        refused: list[str] = []
        newest: dict[tuple[str, int], Change] = {}
        vectors: dict[int, NDArray[np.float32]] = {}
        for change in sorted(changes, key=lambda change: (change.rev, isinstance(change, Delete))):
            if self._is_late(change):
                continue
            if isinstance(change, Upsert):
                try:
                    vectors[change.id] = self._vector_of(change)
                except ValueError as error:
                    refused.append(f"face {change.id}: {error}")
                    continue
            newest[change.owner, change.id] = change
        latest = list(newest.values())
        for start in range(0, len(latest), BATCH):
            self._bring(latest[start : start + BATCH], vectors)
        for change in latest if live else ():
            (self._tombstones if isinstance(change, Delete) else self._done).note(change)
        return refused

    def _is_late(self, change: Change) -> bool:
        """Whether the face is deleted, or a change as new has been applied here."""
        return isinstance(change, Upsert) and change.rev <= max(self._tombstones.rev(change), self._done.rev(change))

    def forget(self) -> None:
        """Forget what has been applied: Milvus may have lost it. What is deleted stays deleted."""
        self._done = Recent(ECHO_S)

    def _vector_of(self, change: Upsert) -> NDArray[np.float32]:
        """Return the vector, with a collection to put it into; raise ValueError if that cannot be."""
        vector = unit_vector(change.embedding)
        if len(change.tags) > MOST_TAGS:
            raise ValueError(f"it is in more than {MOST_TAGS} galleries")
        dim = self._engine.find(change.model) or self._engine.make(change.model, len(vector))
        if dim != len(vector):
            raise ValueError(f"{len(vector)} numbers, but those of {change.model} have {dim}")
        return vector

    def _bring(self, changes: Sequence[Change], vectors: dict[int, NDArray[np.float32]]) -> None:
        """Bring each collection to the newest change of at most ``BATCH`` faces."""
        for name in self._engine.collections:
            there = self._engine.revisions(name, [change.id for change in changes])
            gone, rows = [], []
            moved: list[Upsert] = []
            for change in changes:
                owner, rev = there.get(change.id, ("", -1))
                if isinstance(change, Delete):
                    if owner == change.owner and rev <= change.rev:
                        gone.append(change.id)
                elif rev < change.rev and collection_of(change.model) == name:
                    rows.append(_row(change, vectors[change.id]))
                elif rev < change.rev and owner == change.owner:
                    moved.append(change)
            if moved:  # the vector of an older model stays, with the tags of today
                old = self._engine.vectors(name, [change.id for change in moved])
                rows += [_row(change, old[change.id]) for change in moved if change.id in old]
            if rows:
                self._engine.write(name, rows)
            if gone:
                self._engine.delete(name, gone)

    # -- comparing ------------------------------------------------------------------------------
    def strangers(self, known: NDArray[np.int64], rev: int) -> list[tuple[str, list[int]]]:
        """Return the faces that are not known, or known in an older revision, and no newer than ``rev``, in batches.

        ``known``: ids and revisions, in the order of ids, (count, 2).
        """
        found = []
        most = np.iinfo(np.int64).max
        ends = np.vstack([known, [[most, most]]])  # so that there is something at every place
        for name in self._engine.collections:
            for ids, revs in self._engine.scan(name):
                there = ends[np.searchsorted(known[:, 0], ids)]
                strange = ids[((there[:, 0] != ids) | (there[:, 1] < revs)) & (revs <= rev)].tolist()
                found += [(name, strange[start : start + BATCH]) for start in range(0, len(strange), BATCH)]
        return found

    def remove(self, name: str, ids: Sequence[int], rev: int) -> None:
        """Remove what :meth:`strangers` returned, unless it has become newer."""
        self._engine.delete_older(name, ids, rev)


def _row(change: Upsert, vector: NDArray[np.float32]) -> Row:
    return Row(change.id, change.owner, change.rev, change.tags, vector)
