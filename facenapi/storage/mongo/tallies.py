"""How many faces have a meta or a person, without walking through all of them each time.

MongoDB counts by walking an index, and a number kept in a document of its own could not be trusted: no write spans
documents, so a server that dies between two leaves it wrong. Therefore this process remembers what it has counted, by
spans of ids. The feed of changes tells in which spans something has happened since, whichever server did it, and
these alone are counted again. Nothing is stored, so there is nothing to repair, to migrate or to agree upon.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from facenapi.config.options import Config
from facenapi.storage.lineage import StoreIdentity
from facenapi.storage.mongo.documents import Document
from facenapi.storage.mongo.driver import Ends, int64
from facenapi.storage.mongo.lineage import MARGIN_MS, Lineages

BIG = 100  # so many faces are counted quickly, and not remembered
SPANS = 512  # of the time between the first face and the last
MOST_SPANS = 100_000  # that are remembered, of all metas and persons
MOST_NEW = 32  # metas or persons that a call begins to remember: the answer to that is long
MOST_CHANGES = 5000  # after more of them, beginning anew is as quick
MOST_RANGES = 8  # that are counted each for itself
MARK_S = 1.0
# What a dying server wrote later than the feed's margin nobody hears of: it must not be left out for ever.
LIFE_S = 24 * 3600.0


@dataclass
class Tally:
    """What is known of one value: right but for what has changed since ``moment``; None before the first count."""

    moment: int | None = None
    spans: dict[int, Ends] = field(default_factory=dict)
    total: Ends | None = None

    def put(self, ids: range | None, found: dict[int, Ends]) -> None:
        """Replace the spans that begin at these ids, or all."""
        if ids is None or len(ids) > MOST_RANGES:
            self.spans = {start: ends for start, ends in self.spans.items() if ids and start not in ids} | found
            self.total = None
            return
        for start in ids:
            if self.spans.get(start) != found.get(start):
                self.total = None
                self.spans.pop(start, None)
                self.spans |= {start: found[start]} if start in found else {}

    def sum(self) -> Ends | None:
        """Return how many there are in all, the lowest and the highest; None without any."""
        if self.total is None and self.spans:
            counts, firsts, lasts = zip(*self.spans.values(), strict=True)
            self.total = sum(counts), min(firsts), max(lasts)
        return self.total


@dataclass
class Spans:
    """The spans of an owner's ids, each ``width`` of them, and when each changed, the latest last."""

    width: int
    changed: dict[int, int] = field(default_factory=dict)

    def start_of(self, face_id: int) -> int:
        """Return where the span of an id begins."""
        return face_id - face_id % self.width

    def since(self, moment: int) -> list[int]:
        """Return those that have changed after a moment."""
        starts = []
        for start, changed in reversed(self.changed.items()):
            if changed <= moment:
                break
            starts.append(start)
        return starts


@dataclass
class Memory:
    """What one process remembers of one epoch of the store."""

    identity: StoreIdentity | None = None
    began: float = 0.0  # by the running time of this process, as all times here
    rev: int | None = None  # up to this one every change was seen
    marks: list[tuple[float, int]] = field(default_factory=list)  # when which revision was the latest given out
    seen: dict[int, int] = field(default_factory=dict)  # revisions after ``rev``, by face
    moment: int = 0  # counts the changes that were seen
    owners: dict[str, Spans] = field(default_factory=dict)
    tallies: OrderedDict[tuple[Any, ...], Tally] = field(default_factory=OrderedDict)

    def learn(self, changes: Sequence[Document], settled: int) -> None:
        """Take note of changes, all up to a revision among them."""
        for change in changes:
            face_id, rev = int(change["_id"]), int(change["rev"])
            if self.seen.get(face_id) == rev:
                continue
            self.seen[face_id] = rev
            self.moment += 1
            if spans := self.owners.get(change["owner"]):
                spans.changed.pop(spans.start_of(face_id), None)
                spans.changed[spans.start_of(face_id)] = self.moment
        self.rev = max(settled, self.rev or 0)
        self.seen = {face_id: rev for face_id, rev in self.seen.items() if rev > self.rev}

    def find(self, places: dict[Any, tuple[Any, ...]]) -> dict[Any, Tally]:
        """Return what is remembered, by value, and of what is only about to be remembered a part."""
        found = {value: self.tallies[place] for value, place in places.items() if place in self.tallies}
        new = [value for value, tally in found.items() if tally.moment is None]
        for value in new[MOST_NEW:]:
            del found[value]
        for value in found:
            self.tallies.move_to_end(places[value])
        return found

    def keep(self, place: tuple[Any, ...], owner: str, ends: Ends) -> None:
        """Begin to remember the faces of a value."""
        _, first, last = ends
        width = 1 << ((last - first) // SPANS).bit_length()
        if owner not in self.owners or self.owners[owner].width < width:  # all have the spans of the longest
            self.owners[owner] = Spans(width)
            for other in [other for other in self.tallies if other[1] == owner]:
                del self.tallies[other]
        self.tallies[place] = Tally()

    def trim(self) -> None:
        """Forget what was not asked for in the longest time, where it is too much."""
        count = sum(len(tally.spans) for tally in self.tallies.values())
        while count > MOST_SPANS:
            count -= len(self.tallies.popitem(last=False)[1].spans)


class Tallies(Lineages):
    """The part of the store that counts faces."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.forget_counts()

    def forget_counts(self) -> None:
        """Count everything anew."""
        self._memory = Memory()

    async def tally(self, match: Document, name: str, values: Sequence[Any], hint: str) -> dict[Any, Ends]:
        """Return how many faces have each value of a field, and their lowest and highest id.

        ``match``: which faces, those of one owner; ``hint``: an index of the keys of ``match``, the field and the id.
        """
        places = {value: (hint, *match.values(), value) for value in values}
        is_known = any(place in self._memory.tallies for place in places.values())
        memory = await self._caught_up() if is_known else None  # who asks for few pays for nothing else
        known = memory.find(places) if memory else {}
        remembered = await self._recount(memory, match, name, known, hint) if memory and known else {}
        rest = [value for value in values if value not in known]
        found: dict[Any, Ends] = {}
        if rest:
            found = await self.driver.extremes(self.faces, match | {name: {"$in": rest}}, name, hint)
        many = {} if self.driver.server.ferret else {value: ends for value, ends in found.items() if ends[0] > BIG}
        if many and (memory := memory or await self._caught_up()):
            for value, ends in many.items():
                memory.keep(places[value], match["owner"], ends)
        return found | remembered

    async def _recount(
        self, memory: Memory, match: Document, name: str, tallies: dict[Any, Tally], hint: str
    ) -> dict[Any, Ends]:
        """Count what has changed since it was counted, and return the sums.

        Others count the same meanwhile, and what they put in late they may have read before. Of both only the older
        moment is then true of all spans, and what has changed since is counted once more.
        """
        spans, moment = memory.owners[match["owner"]], memory.moment
        while late := {v: tally for v, tally in tallies.items() if tally.moment is None or tally.moment < moment}:
            now, begun = memory.moment, {value: tally.moment for value, tally in late.items()}
            parts = _parts(late, spans)
            counted = await asyncio.gather(
                *(
                    self._by_span(match | {name: {"$in": [*some]}} | _range(ids), name, spans.width, hint)
                    for some, ids in parts
                )
            )
            for (some, ids), found in zip(parts, counted, strict=True):
                for value, tally in some.items():
                    tally.put(ids, found.get(value, {}))
            for value, tally in late.items():
                whole = begun[value] is None or tally.moment == begun[value]
                tally.moment = now if whole or tally.moment is None else min(now, tally.moment)
            if None in begun.values():
                memory.trim()
        return {value: total for value, tally in tallies.items() if (total := tally.sum())}

    async def _by_span(self, match: Document, name: str, width: int, hint: str) -> dict[Any, dict[int, Ends]]:
        """Count faces by value and span; only those that a majority has, for others may be rolled back unheard."""
        start = {"$subtract": ["$_id", {"$mod": ["$_id", int64(width)]}]}
        found: dict[Any, dict[int, Ends]] = {}
        key = {"value": f"${name}", "start": start}
        for place, ends in await self.driver.group(self.settled_faces, match, key, hint):
            found.setdefault(place["value"], {})[int(place["start"])] = ends
        return found

    async def _caught_up(self) -> Memory | None:
        """Learn of all changes that were acknowledged until now; None while there is nothing to rely upon."""
        asked = time.monotonic()
        lineage = await self.read_lineage(settled=True)
        memory = self._memory
        another = memory.identity != lineage.identity or lineage.last < (memory.rev or 0)
        if another or asked - memory.began > LIFE_S:
            memory = self._memory = Memory(lineage.identity, asked)
        told = time.monotonic()
        if not memory.marks or told - memory.marks[-1][0] > MARK_S:
            memory.marks.append((told, lineage.last))
        # Each revision that was given out before a mark is there to be read, or will have been given another.
        due = [mark for mark in memory.marks if mark[0] + MARGIN_MS / 1000 <= asked]
        if memory.rev is None and not due:
            return None
        settled = due[-1][1] if due else memory.rev or 0
        after = {"rev": {"$gt": int64(settled if memory.rev is None else memory.rev)}}
        cursor = self.settled_faces.find(after, {"owner": 1, "rev": 1}, hint="feed").limit(MOST_CHANGES + 1)
        changes = await cursor.to_list(MOST_CHANGES + 1)
        if len(changes) > MOST_CHANGES:
            self.forget_counts()
        if memory is not self._memory:
            return None
        memory.learn(changes, settled)
        memory.marks = [mark for mark in memory.marks if mark not in due]
        return memory


def _parts(tallies: dict[Any, Tally], spans: Spans) -> list[tuple[dict[Any, Tally], range | None]]:
    """Return what is to be counted of whom: all, or the spans that have changed, or one range with all of these."""
    new = {value: tally for value, tally in tallies.items() if tally.moment is None}
    old = {value: tally for value, tally in tallies.items() if tally.moment is not None}
    parts: list[tuple[dict[Any, Tally], range | None]] = [(new, None)] if new else []
    stale = spans.since(min(tally.moment or 0 for tally in old.values())) if old else []
    if len(stale) > MOST_RANGES:
        return [*parts, (old, range(min(stale), max(stale) + spans.width, spans.width))]
    return parts + [(old, range(start, start + spans.width, spans.width)) for start in stale]


def _range(ids: range | None) -> Document:
    return {} if ids is None else {"_id": {"$gte": int64(ids.start), "$lt": int64(ids.stop)}}
