"""Faces as JSON, each made once: pages show the same faces again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from facenapi import jsonio
from facenapi.handlers.views import face_view
from facenapi.services.paging import Fetch, Window, window

if TYPE_CHECKING:
    from facenapi.storage.base import FaceKey, Page, Store

T = TypeVar("T")

_MOST_BYTES = 16_000_000  # of all texts: some 40,000 usual faces
_LONGEST = 4096  # bytes of a text that is kept: a face may have a thousand galleries
_TRIES = 3


class FaceTexts:
    """The JSON of faces. Only the keys of a page, fresh from the store, lead to it.

    So a face that was changed has another key, one that was deleted has none, and an owner has no other's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[int, tuple[int, bytes]] = {}  # revision and text by id, oldest first
        self._bytes = 0

    async def page(
        self, owner: str, fetch: Fetch[T], key_of: Callable[[T], FaceKey], page: Page
    ) -> tuple[Window[T], list[bytes | None]]:
        """Return a page of entries that each have a face, and the faces' texts.

        When faces change while the page is read, it is read again, so that each is what it was chosen for; after
        some tries their texts are None.
        """
        for _ in range(_TRIES):
            found = await window(fetch, lambda entry: key_of(entry)[0], page)
            texts = await self._texts(owner, [key_of(entry) for entry in found.items])
            if None not in texts:
                break
        return found, texts

    async def _texts(self, owner: str, keys: Sequence[FaceKey]) -> list[bytes | None]:
        """Return the texts in the order of the keys; None for a face that was changed or deleted meanwhile."""
        nothing = (-1, b"")
        kept = [self._kept.get(face_id, nothing) for face_id, _ in keys]
        missing = [face_id for (face_id, rev), (had, _) in zip(keys, kept, strict=True) if had != rev]
        if not missing:
            return [text for _, text in kept]
        fresh = {}
        for face in (await self._store.get_faces(owner, missing)).values():
            fresh[face.key] = jsonio.dumps(face_view(face)).encode()
            self._keep(face.key, fresh[face.key])
        return [text if had == key[1] else fresh.get(key) for key, (had, text) in zip(keys, kept, strict=True)]

    def _keep(self, key: FaceKey, text: bytes) -> None:
        face_id, rev = key
        _, former = self._kept.pop(face_id, (0, b""))
        self._bytes -= len(former)
        if len(text) <= _LONGEST:
            self._kept[face_id] = (rev, text)
            self._bytes += len(text)
        while self._bytes > _MOST_BYTES:
            _, oldest = self._kept.pop(next(iter(self._kept)))
            self._bytes -= len(oldest)
