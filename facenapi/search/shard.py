"""What the rest of the server knows of search: the ``Shard`` protocol and its messages.

A shard holds unit vectors by owner and embedding model and answers which are most similar to a probe.
It is a view of the store: it can be thrown away and rebuilt. Changes carry the store's revision, so
they may arrive twice or out of order and the newest wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from facenapi.storage.base import DEFAULT_GALLERY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.process.supervised import Loop
    from facenapi.storage.base import Face, Tombstone


@dataclass(frozen=True, slots=True)
class Upsert:
    """A vector is added, or its tags changed.

    ``tags`` are what a search can be limited to: gallery names ("default" left out, it is everything)
    and, for faces that have a person, :data:`PERSON_TAG` and :func:`person_tag`. ``embedding``:
    little-endian float32 bytes of a unit vector.
    """

    owner: str
    model: str
    id: int
    rev: int
    tags: frozenset[str]
    embedding: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """A vector is gone for good."""

    owner: str
    id: int
    rev: int


Change = Upsert | Delete


PERSON_TAG = "person:"


def person_tag(cam_id: str | None) -> str:
    """Return the tag of a camera's faces that have a person; those without a camera share one.

    >>> person_tag("door"), person_tag(None), person_tag("none")
    ('person:door', 'person:none', 'person:/none')
    """
    names = {None: "none", "none": "/none"}  # which is a name that a camera may have; one with a slash is not
    return f"{PERSON_TAG}{names.get(cam_id, cam_id)}"


def upsert_of(face: Face) -> Upsert:
    """Return the change that puts a face into its shard, or renews its tags there."""
    tags = {gallery for gallery in face.galleries if gallery != DEFAULT_GALLERY}
    if face.person_id is not None:
        tags |= {PERSON_TAG, person_tag(face.cam_id)}
    return Upsert(face.owner, face.model, face.id, face.rev, frozenset(tags), face.embedding)


def delete_of(gone: Face | Tombstone) -> Delete:
    """Return the change that takes a face out of its shard."""
    return Delete(gone.owner, gone.id, gone.rev)


@dataclass(frozen=True, slots=True)
class Query:
    """A search: at most ``n`` faces of an owner with ``similarity >= min_similarity``, best first.

    ``probe``: float32 (dim,), unit length. ``min_similarity``: cosine, ``None`` for no threshold.
    ``tag``: only faces with this tag. A ``min_similarity`` that is not finite raises ValueError.
    ``since``: what was acknowledged by then (monotonic) must be known, see ``arrive`` of
    :class:`facenapi.search.client.ShardClient`; None for now.
    """

    owner: str
    model: str
    probe: NDArray[np.float32]
    n: int
    min_similarity: float | None = None
    tag: str | None = None
    since: float | None = None

    def __post_init__(self) -> None:
        """Look at what would silently match nothing, or everything."""
        if self.min_similarity is not None and not math.isfinite(self.min_similarity):
            raise ValueError("min_similarity must be finite")


@dataclass(frozen=True, slots=True)
class Hit:
    """A face and its cosine similarity to the probe."""

    id: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The merged answer of the shards: hits best first, and how many shards took part."""

    hits: list[Hit]
    live: int
    total: int


class Shard(Protocol):
    """One holder of vectors: in process, behind HTTP, or on another engine."""

    @property
    def loops(self) -> Iterable[Loop]:
        """What it does again and again beside the requests."""

    @property
    def ready(self) -> bool:
        """Whether it can be searched."""

    @property
    def lagging(self) -> bool:
        """Whether it cannot keep up: no new faces should be stored in its cells."""

    async def start(self) -> None:
        """Load and catch up with the store."""

    async def close(self) -> None:
        """Stop; may be called twice."""

    async def apply(self, changes: Sequence[Change]) -> None:
        """Take changes; when this returns, every later search sees them. Raises Unavailable."""

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first. Raises Unavailable, or ValueError for a probe that is no unit vector."""

    def info(self) -> dict[str, Any]:
        """Return figures for monitoring: ready, faces, segments, revision, …"""
