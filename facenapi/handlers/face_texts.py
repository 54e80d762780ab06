"""Faces as JSON texts, each made once: pages show the same faces again and again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from facenapi import jsonio
from facenapi.handlers.views import face_view

if TYPE_CHECKING:
    from facenapi.storage.base import FaceKey, Store

_MOST = 10_000  # texts of about 500 bytes


class FaceTexts:
    """The texts of faces by key. Only the keys of a page, fresh from the store, lead to them.

    So a face that was changed has another key, one that was deleted has none, and an owner has no other's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._texts: dict[FaceKey, str] = {}

    async def of(self, owner: str, keys: Sequence[FaceKey]) -> list[str | None]:
        """Return the texts in the order of the keys; None for a face deleted since its key was read."""
        texts = list(map(self._texts.get, keys))
        missing = [key.id for key, text in zip(keys, texts, strict=True) if text is None]
        if not missing:
            return texts
        fresh = {}
        for face in (await self._store.get_faces(owner, missing)).values():
            fresh[face.id] = self._texts[face.key] = jsonio.dumps(face_view(face))
        self._forget_oldest()
        return [text or fresh.get(key.id) for key, text in zip(keys, texts, strict=True)]

    def _forget_oldest(self) -> None:
        for key in list(islice(self._texts, max(0, len(self._texts) - _MOST))):
            del self._texts[key]
