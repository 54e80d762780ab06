"""Into a store: what a file has of its owners; what is there already is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facenapi.storage.base import Camera, Face, IdTakenError, Store, UnknownGalleryError, UnknownPersonError
from facenapi.storage.transfer.lines import BATCH, VERSION, Progress, TransferError, face_of, id_of, parse


async def import_owner(store: Store, path: Path, owner: str | None = None, progress: Progress | None = None) -> int:
    """Bring a file into a store, for its own owners or, if it has one, for another; return how many faces were new.

    Raises TransferError for a file that is damaged, incomplete, or whose ids another owner has; what came
    before the fault is stored then, and a later call goes on.
    """
    with path.open("rb") as lines:
        entries = enumerate(lines, 1)
        number, line = next(entries, (1, b""))
        new = 0
        while True:
            header = _header(line, path)
            if owner and number > 1:
                raise TransferError(f"line {number}: the file has several owners: they can only be what they were")
            target = owner or _owner(header, path)
            new += await _Import(store, target, int(header.get("faces") or 0), progress).run(entries)
            number, line = next(entries, (0, b""))
            if not line:
                return new


def owners_of(path: Path) -> list[str]:
    """Return the owners that a file was exported from. Raises TransferError."""
    with path.open("rb") as lines:
        first = _owner(_header(next(lines, b""), path), path)
        return [first, *(_owner(_header(line, path), path) for line in lines if line.startswith(b'{"facenapi":'))]


def _header(line: bytes, path: Path) -> dict[str, Any]:
    kind, header = parse(line, 1)
    if kind != "facenapi" or not isinstance(header, dict) or header.get("version") != VERSION:
        raise TransferError(f"{path.name} is not an export of facenapi in version {VERSION}")
    return header


def _owner(header: dict[str, Any], path: Path) -> str:
    owner = str(header.get("owner") or "")
    if not owner:
        raise TransferError(f"{path.name} names no owner")
    return owner


class _Import:
    """An import under way: what has been read and not yet been stored."""

    def __init__(self, store: Store, owner: str, total: int, progress: Progress | None) -> None:
        self._store = store
        self._owner = owner
        self._total = total
        self._progress = progress
        self._faces: list[Face] = []
        self._persons: list[int] = []
        self._named: set[int] = set()  # all persons so far
        self._read = self._new = 0

    async def run(self, entries: Iterator[tuple[int, bytes]]) -> int:
        for number, line in entries:
            kind, value = parse(line, number)
            if kind == "end":
                await self._flush()
                if value != self._read:
                    raise TransferError(f"line {number}: the file has {self._read} faces and should have {value}")
                return self._new
            try:
                await self._take(kind, value)
            except (KeyError, TypeError, ValueError) as error:
                raise TransferError(f"line {number}: not a {kind}: {error}") from error
        await self._flush()
        raise TransferError("the file ends too early: the export was not complete")

    async def _take(self, kind: str, value: Any) -> None:
        if kind == "gallery":
            await self._store.add_gallery(self._owner, str(value))
        elif kind == "person":
            self._persons.append(id_of(value))
            self._named.add(value)
        elif kind == "camera":
            camera = Camera(str(value["id"]), self._owner, dict(value["fields"]))
            if await self._store.get_camera(self._owner, camera.id) is None:  # else it may have been changed since
                await self._store.add_camera(camera)
        elif kind == "face":
            self._faces.append(face_of(self._owner, value))
            self._read += 1
        else:
            raise ValueError("unknown kind")
        if len(self._faces) >= BATCH or len(self._persons) >= BATCH:
            await self._flush()

    async def _flush(self) -> None:
        await self._store.restore_persons(self._owner, self._persons)
        try:
            self._new += await self._restore()
        except IdTakenError as error:
            raise TransferError(f"face {error} belongs to another owner of this store") from error
        except (UnknownGalleryError, UnknownPersonError) as error:
            what = "gallery" if isinstance(error, UnknownGalleryError) else "person"
            raise TransferError(
                f"a face has the {what} {error}, which the file does not name before, or which has just been removed"
            ) from error
        self._faces, self._persons = [], []
        if self._progress is not None:
            self._progress(self._read, max(self._read, self._total))

    async def _restore(self) -> int:
        try:
            return await self._store.restore_faces(self._faces)
        except UnknownPersonError:
            # A server with the embedded store has been started meanwhile, and has removed who had no face yet.
            again = self._named & {face.person_id for face in self._faces}
            await self._store.restore_persons(self._owner, sorted(again))
            return await self._store.restore_faces(self._faces)
