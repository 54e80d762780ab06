"""What both backends must do alike: pure functions on records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from facenapi.storage.base import DEFAULT_GALLERY, Face, FaceChange

DAY_MS = 86_400_000


def gallery_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return gallery names as a face holds them: "default" first, the others sorted, each once.

    >>> gallery_order(["staff", "b", "staff"])
    ('default', 'b', 'staff')
    """
    return (DEFAULT_GALLERY, *sorted(set(names) - {DEFAULT_GALLERY}))


def camera_key(cam_id: str) -> str:
    """Return the form in which camera ids are compared: dashes and case do not matter.

    >>> camera_key("0F3A-11")
    '0f3a11'
    """
    return cam_id.replace("-", "").lower()


def day_of(timestamp_ms: int) -> int:
    """Return the UTC day, counted from 1970, of a time in milliseconds."""
    return timestamp_ms // DAY_MS


def changed(face: Face, change: FaceChange) -> Face:
    """Return the face after an edit, with its old revision; the same face if nothing differs."""
    names = set(face.galleries if change.set_galleries is None else change.set_galleries)
    names = names.union(change.add_galleries).difference(change.del_galleries)
    return replace(
        face,
        galleries=gallery_order(names),
        meta=face.meta if change.meta is None else change.meta,
        person_id=face.person_id if change.person_id is None else change.person_id,
        embedding=face.embedding if change.embedding is None else change.embedding,
        model=face.model if change.model is None else change.model,
    )


def named_galleries(change: FaceChange) -> tuple[str, ...]:
    """Return the galleries that must exist for an edit, sorted: of several that do not, both name the same.

    >>> named_galleries(FaceChange(set_galleries=("b", "a"), add_galleries=("c", "a")))
    ('a', 'b', 'c')
    """
    return tuple(sorted({*(change.set_galleries or ()), *change.add_galleries}))
