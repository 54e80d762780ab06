"""The vectors of one owner made by one model: mutable, although segments are not.

New vectors go to a buffer and are found at once. A full buffer is sealed and, together with the
smaller segments, becomes a new segment in the background (:mod:`facenapi.search.upkeep.builder`): planned and
published by the one writing thread, built by a child process. Searches take the tuple of parts as it is
and go through it from the oldest to the newest; a write adds before it kills, and a search that saw
both versions of a face keeps the newer one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap

from facenapi.search.index.parts import Buffer, Part
from facenapi.search.index.segment import Segment, check_probe
from facenapi.search.shard import Hit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray


SEGMENT_MAX_ROWS = 2_000_000
MERGE = 4
DEAD_SHARE = 0.2  # from this share of dead rows on a segment is built anew


def buffer_rows(dim: int) -> int:
    """Return the capacity of a buffer: what is scanned in about a tenth of a millisecond."""
    return int(2560 * min(1.0, 128 / dim) ** 0.5)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a new segment is to be made of: parts, and the rows of each that were alive; and whether a graph of it is
    worth trying: not after one of fewer vectors of the collection did not find enough."""

    sources: list[tuple[Part, NDArray[np.int64]]]
    graph: bool = True

    @property
    def rows(self) -> int:
        """How many rows the segment will have."""
        return sum(len(rows) for _, rows in self.sources)


class Collection:
    """Vectors with ids, revisions and tags. One thread may write while others search."""

    def __init__(self, dim: int, capacity: int | None = None, parts: Iterable[Part] = ()) -> None:
        """``capacity``: rows of a buffer; ``parts``: what it starts with, segments first, the buffer in use last."""
        self.dim = dim
        self.version = 0  # grows with every change
        self.searched_at = time.monotonic()  # the last search, or since when there could have been one
        self._capacity = capacity or buffer_rows(dim)
        self.parts: tuple[Part, ...] = tuple(parts) or (Buffer(self._capacity, dim),)

    # -- reading --------------------------------------------------------------------------------
    def search(
        self, probes: Sequence[NDArray[np.float32]], n: int, floor: float | None = None, tag: str | None = None
    ) -> list[list[Hit]]:
        """Return, for each probe, the best ``n`` faces with similarity at or above ``floor`` and the tag, best first.

        Raises ValueError for a probe that is not a unit vector of this collection's length.
        """
        for probe in probes:
            check_probe(probe, self.dim)
        if n < 1:
            raise ValueError("n must be positive")
        self.searched_at = time.monotonic()
        found: list[dict[int, float]] = [{} for _ in probes]
        for part in self.parts:
            if part.live:
                for of_probe, (ids, sims) in zip(found, part.search(probes, n, floor, tag), strict=True):
                    of_probe.update(zip(ids.tolist(), sims.tolist(), strict=True))  # the newer of two versions stays
        return [_hits(of_probe, n) for of_probe in found]

    @property
    def live(self) -> int:
        """How many faces there are."""
        return sum(part.live for part in self.parts)

    @property
    def waiting(self) -> int:
        """How many sealed buffers wait to become a segment."""
        return sum(isinstance(part, Buffer) for part in self.parts) - 1

    # -- writing, by one thread -----------------------------------------------------------------
    def upsert(self, face_id: int, rev: int, tags: Iterable[str], vector: NDArray[np.float32]) -> None:
        """Add a face, or bring it to a newer revision; an older one is ignored. ``vector``: unit, (dim,)."""
        part, row = self._locate(face_id)
        if part is not None:
            if part.revs[row] >= rev:
                return
            if part.has(row, vector):
                self.version += 1
                part.retag(row, tags, rev)
                return
        self.version += 1
        buffer = self.parts[-1]
        assert isinstance(buffer, Buffer)
        if buffer.full:
            buffer = Buffer(self._capacity, self.dim)
            self.parts = (*self.parts, buffer)
        buffer.append(face_id, rev, tags, vector)
        if part is not None:
            part.kill(row)

    def delete(self, face_id: int, rev: int) -> None:
        """Remove a face unless a newer revision of it is here."""
        part, row = self._locate(face_id)
        if part is not None and part.revs[row] <= rev:
            self.version += 1
            part.kill(row)

    def retag(self, face_id: int, rev: int, tags: Iterable[str]) -> None:
        """Bring the tags of a face to a newer revision, if the face is here."""
        part, row = self._locate(face_id)
        if part is not None and part.revs[row] < rev:
            self.version += 1
            part.retag(row, tags, rev)

    def discard(self, unwanted: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]) -> int:
        """Remove every face for which a function of ids and revisions (count,) says so; return how many."""
        self.version += 1
        before = self.live
        for part in self.parts:
            gone = part.alive[: part.count] & unwanted(part.ids[: part.count], part.revs[: part.count])
            for row in np.flatnonzero(gone).tolist():
                part.kill(row)
        return before - self.live

    def _locate(self, face_id: int) -> tuple[Part | None, int]:
        for part in reversed(self.parts):
            row = part.find(face_id)
            if row is not None:
                return part, row
        return None, -1

    # -- merging --------------------------------------------------------------------------------
    @property
    def due(self) -> bool:
        """Whether there is something to build: a sealed buffer, or a worn segment."""
        *others, _ = self.parts
        return any(isinstance(part, Buffer) or _is_worn(part) for part in others)

    def plan(self) -> Plan | None:
        """Say what to build next, if anything: sealed buffers and worn segments, and with them, smallest first, the
        segments that are not ``MERGE`` times larger, so that there are few and none is built again too often."""
        if not self.due:
            return None
        segments = sorted((part for part in self.parts if isinstance(part, Segment)), key=lambda part: part.live)
        chosen: list[Part] = [part for part in segments if _is_worn(part)]
        chosen += [part for part in self.parts[:-1] if isinstance(part, Buffer)]
        for segment in segments:
            total = sum(part.live for part in chosen)
            if segment not in chosen and segment.live <= min(MERGE * total, SEGMENT_MAX_ROWS - total):
                chosen.append(segment)
        while len(chosen) > 1 and sum(part.live for part in chosen) > SEGMENT_MAX_ROWS:
            chosen.pop()
        sources = [(part, np.flatnonzero(part.alive[: part.count])) for part in chosen]
        return Plan(sources, graph=not any(segment.graphless for segment in segments))

    def publish(self, plan: Plan, segment: Segment | None) -> None:
        """Put a segment (None: nothing was alive) in the place of the parts that it was made of.

        What happened to those parts since the plan happens to the segment: the sources are still up to
        date, and what they say now is what holds.
        """
        self.version += 1
        sources = [part for part, _ in plan.sources]
        if segment is not None:
            segment.alive[:] = False
            for part, taken in plan.sources:
                rows = np.searchsorted(segment.ids, part.ids[taken])
                segment.alive[rows] = part.alive[taken]
                segment.revs[rows] = part.revs[taken]
                new_row = np.zeros(part.count, np.uint32)
                new_row[taken] = rows
                for tag, bitmap in part.tags.items():
                    tagged = new_row[np.frombuffer(bitmap.to_array(), np.uint32)]
                    segment.tags.setdefault(tag, BitMap()).update(tagged)
            segment.dead = segment.count - int(np.count_nonzero(segment.alive))
        kept = [part for part in self.parts if part not in sources]
        segments = [part for part in (segment, *kept) if isinstance(part, Segment)]
        self.parts = (*segments, *(part for part in kept if isinstance(part, Buffer)))


def _hits(found: dict[int, float], n: int) -> list[Hit]:
    """Return the best ``n``, best first."""
    hits = sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))[:n]
    return [Hit(face_id, similarity) for face_id, similarity in hits]


def _is_worn(part: Part) -> bool:
    return part.live < (1 - DEAD_SHARE) * part.count
