"""Faces as JSON, each made once: pages show the same faces again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from facenapi.api import jsonio
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
        self._kept: dict[FaceKey, bytes] = {}  # oldest first
        self._revs: dict[int, int] = {}  # of the texts that are kept, by id
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
        kept = list(map(self._kept.get, keys))
        if None not in kept:
            return kept
        missing = [face_id for (face_id, _), text in zip(keys, kept, strict=True) if text is None]
        fresh = {}
        for face in (await self._store.get_faces(owner, missing)).values():
            fresh[face.key] = jsonio.dumps(face_view(face)).encode()
            self._keep(face.key, fresh[face.key])
        return [text or fresh.get(key) for key, text in zip(keys, kept, strict=True)]

    def _keep(self, key: FaceKey, text: bytes) -> None:
        """Keep a text, in the place of an earlier revision's, while there is room."""
        face_id, rev = key
        self._drop((face_id, self._revs.get(face_id, -1)))
        if len(text) <= _LONGEST:
            self._revs[face_id], self._kept[key] = rev, text
            self._bytes += len(text)
        while self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: FaceKey) -> None:
        text = self._kept.pop(key, None)
        if text is not None:
            del self._revs[key[0]]
            self._bytes -= len(text)
