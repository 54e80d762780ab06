"""The whole of an owner as newline-delimited JSON: out of one store and into another, of either kind.

The first line says what the file is; then come galleries, persons, cameras and faces (oldest first), one
to a line, each as ``{"kind": value}``; the last line is ``{"end": number of faces}``. Face ids, person ids,
embeddings and times survive; revisions are given anew. Both directions can be stopped and run again: an
export goes on where its partial file ends, an import leaves alone what is there already.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from facenapi.storage.base import (
    Camera,
    Face,
    FaceFilter,
    IdTakenError,
    Page,
    Store,
    UnknownGalleryError,
    UnknownPersonError,
)
from facenapi.storage.ids import MAX_ID, cell_of

VERSION = 1
BATCH = 500

# Called with the number of faces done and the number there are.
Progress = Callable[[int, int], None]

_FIELDS = {f.name for f in fields(Face)} - {"owner", "cell", "rev"}
_TUPLES = ("galleries", "emotions")


class TransferError(Exception):
    """The file cannot be used; the message is one line that says where and why."""


@dataclass(slots=True)
class _Written:
    """What an export's file holds so far."""

    begun: bool = False
    faces: int = 0
    last: int = 0
    known: set[tuple[str, Any]] = field(default_factory=set)

    def add(self, kind: str, value: Any) -> None:
        if kind == "facenapi":
            self.begun = True
        elif kind == "face":
            self.faces, self.last = self.faces + 1, value["id"]
        else:
            self.known.add(_name(kind, value))


def _name(kind: str, value: Any) -> tuple[str, Any]:
    """Return what is to be in a file once."""
    return kind, value["id"] if kind == "camera" else value


async def export_owner(store: Store, owner: str, path: Path, progress: Progress | None = None) -> int:
    """Write everything of an owner to a file and return the number of faces.

    The file appears under its name when it is complete; until then it is ``NAME.part``, and a later call
    goes on behind its last face. Faces that were edited or deleted meanwhile are as they were when written.
    """
    part = path.with_name(path.name + ".part")
    total = await store.count_faces(owner)
    part.touch(mode=0o600)  # faces and names are nobody else's business
    with part.open("ab+") as out:
        written = _resume(out, owner)
        if not written.begun:
            _put(out, written, "facenapi", {"version": VERSION, "owner": owner, "faces": total})
        async for kind, value in _belongings(store, owner):
            if _name(kind, value) not in written.known:
                _put(out, written, kind, value)
        while faces := await store.list_faces(owner, FaceFilter(), Page(BATCH, min_id=written.last)):
            for face in reversed(faces):
                _put_face(out, written, face)
            if progress is not None:
                progress(written.faces, max(written.faces, total))
        _put(out, written, "end", written.faces)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    return written.faces


async def export_owners(store: Store, owners: Sequence[str], path: Path, progress: Progress | None = None) -> int:
    """Write everything of several owners to a file, one behind the other, and return the number of faces.

    Until the file is complete each owner has one of its own beside it; a later call goes on with them.
    """
    pieces = {
        owner: path.with_name(f"{path.name}.{hashlib.sha256(owner.encode()).hexdigest()[:12]}") for owner in owners
    }
    faces = 0
    for owner, piece in pieces.items():
        if piece.exists():
            faces += await store.count_faces(owner)
        else:
            faces += await export_owner(store, owner, piece, progress)
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    with part.open("wb") as out:
        for piece in pieces.values():
            with piece.open("rb") as file:
                shutil.copyfileobj(file, out)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    for piece in pieces.values():
        piece.unlink()
    return faces


def _resume(out: BinaryIO, owner: str) -> _Written:
    """Return what an unfinished file holds, cutting off its end where that is not a whole line."""
    written, good = _Written(), 0
    out.seek(0)
    for number, line in enumerate(out, 1):
        kind, value = _parse(line, number) if line.endswith(b"\n") else ("end", None)
        if kind == "facenapi" and dict(value or {}).get("owner") != owner:
            raise TransferError("the .part file is an unfinished export of another owner: finish or remove it")
        if kind == "end":
            break
        written.add(kind, value)
        good += len(line)
    out.truncate(good)
    return written


async def _belongings(store: Store, owner: str) -> AsyncIterator[tuple[str, Any]]:
    """Yield what an owner has beside faces, each as kind and value."""
    for name in (await store.list_galleries(owner))[1:]:
        yield "gallery", name
    last = 0
    while persons := await store.list_persons(owner, Page(BATCH, min_id=last)):
        for person in reversed(persons):
            yield "person", person.id
        last = persons[0].id
    for camera in await store.list_cameras(owner):
        yield "camera", {"id": camera.id, "fields": dict(camera.fields)}


def _put(out: BinaryIO, written: _Written, kind: str, value: Any) -> None:
    out.write(json.dumps({kind: value}, separators=(",", ":"), sort_keys=True).encode() + b"\n")
    written.add(kind, value)


def _put_face(out: BinaryIO, written: _Written, face: Face) -> None:
    """Write a face, after its galleries and its person if they came into being during the export."""
    needed: list[tuple[str, Any]] = [("gallery", name) for name in face.galleries[1:]]
    if face.person_id is not None:
        needed.append(("person", face.person_id))
    for kind, value in needed:
        if (kind, value) not in written.known:
            _put(out, written, kind, value)
    values = {name: value for name, value in asdict(face).items() if name in _FIELDS and value is not None}
    values["embedding"] = base64.b64encode(face.embedding).decode()
    _put(out, written, "face", values)


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
    kind, header = _parse(line, 1)
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
            kind, value = _parse(line, number)
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
            self._persons.append(_id_of(value))
            self._named.add(value)
        elif kind == "camera":
            await self._store.add_camera(Camera(str(value["id"]), self._owner, dict(value["fields"])))
        elif kind == "face":
            self._faces.append(_face_of(self._owner, value))
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


def _parse(line: bytes, number: int) -> tuple[str, Any]:
    """Return kind and value of a line."""
    try:
        [(kind, value)] = json.loads(line).items()
    except (ValueError, AttributeError) as error:
        raise TransferError(f"line {number} is damaged") from error
    return kind, value


def _id_of(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MAX_ID:
        raise ValueError(f"bad id {value}")
    return value


def _face_of(owner: str, value: dict[str, Any]) -> Face:
    """Return the face of a line; raises KeyError, TypeError or ValueError."""
    values = dict(value)
    unknown = set(values) - _FIELDS
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    _id_of(values["id"])
    values["embedding"] = base64.b64decode(values["embedding"], validate=True)
    if not values["embedding"] or len(values["embedding"]) % 4:
        raise ValueError("the embedding is not made of 32-bit numbers")
    values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
    return Face(owner=owner, cell=cell_of(values["id"]), rev=0, **values)
