"""What ``trial_linear.py`` was told: what was asked and answered, and what of it cannot be true together."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

VIP = "vip"  # the gallery
NEVER = math.inf


@dataclass
class Write:
    """A face's meta that somebody wrote, when that began, was surely done, and was surely known to all shards."""

    meta: str
    began: float
    done: float = NEVER
    told: float = NEVER


@dataclass
class Answer:
    """Documents that were seen between two moments: of a color, of the gallery if ``tag``, ``only`` that face.

    ``whole``: all there are. ``by_search``: as far as search knows them.
    """

    what: str
    documents: list[dict[str, Any]]
    start: float
    end: float
    color: int | None = None
    tag: bool = False
    only: int | None = None
    whole: bool = True
    by_search: bool = False


@dataclass
class Face:
    """All that was done to a face. ``found``: since when searches know it for sure; ``deletes``: that were begun."""

    color: int
    writes: list[Write]
    found: float = NEVER
    deletes: int = 0
    delete_began: float = NEVER
    deleted: float = NEVER
    acknowledged: bool = field(default=False)  # the delete

    def may_be(self, answer: Answer, *, tags: bool = False) -> list[Write]:
        """Return the writes that an answer may show; ``tags``: that it may know the gallery by."""
        return [
            write
            for write in self.writes
            if write.began <= answer.end
            and not any(
                other.began >= write.done
                and (other.told if tags and answer.by_search else other.done) <= answer.start
                for other in self.writes
            )
        ]


class Ledger:
    """What was asked and answered, and the contradictions in it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.faces: dict[int, Face] = {}
        self.adding: dict[str, tuple[int, Write]] = {}  # by meta: adds whose face nobody has seen
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self._metas = 0

    def new_meta(self, dice: random.Random) -> str:
        """Return a meta that nobody has written; it tells whether the face is in the gallery."""
        with self.lock:
            self._metas += 1
            return f"{dice.choice((VIP, 'no'))}-{self._metas}"

    def face_of(self, document: dict[str, Any]) -> Face | None:
        """Return what is known of a face that an answer shows, which may be the first that is heard of it."""
        if document["id"] not in self.faces and document["meta"] in self.adding:
            color, write = self.adding.pop(document["meta"])
            self.faces[document["id"]] = Face(color, [write])
        return self.faces.get(document["id"])

    def see(self, answer: Answer) -> None:
        """Check an answer, and learn from it what was done."""
        with self.lock:
            self.counts[answer.what] += 1
            for document in answer.documents:
                fault = self._shown(document, answer)
                if fault:
                    self.wrong.append(f"{answer.what}: {fault}: {document}")
            shown = {document["id"] for document in answer.documents}
            for face_id in [answer.only] if answer.only is not None else list(self.faces):
                face = self.faces[face_id]
                if answer.whole and face_id not in shown and answer.color in (None, face.color):
                    self._missing(face_id, face, answer)

    def _shown(self, document: dict[str, Any], answer: Answer) -> str:
        """Return why a face cannot be shown so, "" if it can."""
        face = self.face_of(document)
        if face is None:
            return "a face that nobody added"
        possible = face.may_be(answer)
        shown = next((write for write in possible if write.meta == document["meta"]), None)
        in_gallery = VIP in document["galleries"]
        if shown is not None:
            shown.done = min(shown.done, answer.end)
            face.writes[0].done = min(face.writes[0].done, answer.end)
        if answer.by_search:
            face.found = min(face.found, answer.end)
        faults = {
            "deleted before": face.deleted <= answer.start,
            "another person": answer.color not in (None, face.color),
            "half a change": document["meta"].startswith(VIP) != in_gallery,
            "not of the gallery": answer.tag and not in_gallery,
            f"it can only be {[write.meta for write in possible]}": shown is None,
        }
        return "; ".join(fault for fault, is_so in faults.items() if is_so)

    def _missing(self, face_id: int, face: Face, answer: Answer) -> None:
        there = face.found if answer.by_search else face.writes[0].done
        outside = answer.tag and not all(write.meta.startswith(VIP) for write in face.may_be(answer, tags=True))
        if there > answer.start or outside:
            return
        if face.delete_began > answer.end:
            self.wrong.append(f"{answer.what}: {face_id} is missing: {face}")
        elif not answer.by_search:
            face.deleted = min(face.deleted, answer.end)
