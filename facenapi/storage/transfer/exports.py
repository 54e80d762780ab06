"""Out of a store: everything of owners into a file, which can be stopped and gone on with."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from facenapi.storage.base import Face, FaceFilter, Page, Store
from facenapi.storage.transfer.lines import BATCH, VERSION, Progress, TransferError, line_of, parse, values_of


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
    total = await store.count_faces(owner)
    with _unfinished(path) as out:
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
    return written.faces


async def export_owners(store: Store, owners: Sequence[str], path: Path, progress: Progress | None = None) -> int:
    """Write everything of several owners to a file, one behind the other, and return the number of faces.

    Until the file is complete each owner has one of its own beside it; a later call goes on with them.
    """
    pieces = {
        owner: path.with_name(f"{path.name}.{hashlib.sha256(owner.encode()).hexdigest()[:12]}") for owner in owners
    }
    faces = 0
    with _unfinished(path) as out:
        for owner, piece in pieces.items():
            if piece.exists():
                faces += await store.count_faces(owner)
            else:
                faces += await export_owner(store, owner, piece, progress)
        out.truncate(0)
        for piece in pieces.values():
            with piece.open("rb") as file:
                shutil.copyfileobj(file, out)
    for piece in pieces.values():
        piece.unlink()
    return faces


@contextmanager
def _unfinished(path: Path) -> Iterator[BinaryIO]:
    """Open what is to become a file, for this process alone; it gets its name when the context ends well."""
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)  # faces and names are nobody else's business
    with part.open("ab+") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TransferError("another process is writing it") from None
        except OSError:  # a network file system without locks, on which nobody can be kept out
            pass
        if not part.exists() or not os.path.samestat(os.fstat(out.fileno()), part.stat()):
            raise TransferError("another process has just written it")
        yield out
        out.flush()
        os.fsync(out.fileno())
        part.replace(path)


def _resume(out: BinaryIO, owner: str) -> _Written:
    """Return what an unfinished file holds, cutting off its end where that is not a whole line."""
    written, good = _Written(), 0
    out.seek(0)
    for number, line in enumerate(out, 1):
        kind, value = parse(line, number) if line.endswith(b"\n") else ("end", None)
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
    out.write(line_of(kind, value))
    written.add(kind, value)


def _put_face(out: BinaryIO, written: _Written, face: Face) -> None:
    """Write a face, after its galleries and its person if they came into being during the export."""
    needed: list[tuple[str, Any]] = [("gallery", name) for name in face.galleries[1:]]
    if face.person_id is not None:
        needed.append(("person", face.person_id))
    for kind, value in needed:
        if (kind, value) not in written.known:
            _put(out, written, kind, value)
    _put(out, written, "face", values_of(face))
