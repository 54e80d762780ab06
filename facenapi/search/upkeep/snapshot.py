"""What a shard keeps on disk to start quickly: never the truth, always replaceable from the store.

``manifest.json`` names everything: the revision of the change feed up to which it is complete, the cells,
and per collection its segments (folders that :mod:`facenapi.search.upkeep.builder` filled) and one state file
with the buffers and with what has happened to the rows of the segments. It is replaced in one step, and
only then are files removed that it no longer names; at a start, too, what a server that died has left half done.
"""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from pyroaring import BitMap

from facenapi.process.durable import sync
from facenapi.search.index.collection import Collection, buffer_rows
from facenapi.search.index.parts import Buffer, Part
from facenapi.search.index.segment import Segment
from facenapi.search.index.stored import DamagedError
from facenapi.search.upkeep import builder, files

if TYPE_CHECKING:
    from pathlib import Path

    from facenapi.search.index.index import Index

log = logging.getLogger(__name__)

FORMAT = 3
State = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a snapshot was good for. ``rev``: where to read the feed from, 0 if anything was missing.

    ``source``: the store that it was read of, and its epoch.
    """

    rev: int
    cells: frozenset[int] | None
    source: str = ""


class Snapshots:
    """Writes and reads the snapshots of one shard in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[tuple[str, str], tuple[Collection, int, dict[str, Any]]] = {}

    def segment_folder(self) -> Path:
        """Return a folder for a new segment that no older one has used."""
        return self.folder / f"segment-{uuid4().hex}"

    def forget(self) -> None:
        """Take nothing on disk for current: the index begins anew."""
        self._entries.clear()

    # -- writing --------------------------------------------------------------------------------
    def save(
        self,
        states: list[tuple[tuple[str, str], int, Collection, State | None]],
        rev: int,
        cells: frozenset[int] | None,
        source: str = "",
    ) -> None:
        """Write the states of the collections that changed and a manifest of all, then tidy up.

        ``states``: key, version, collection and its :func:`state_of`; None for what is written already.
        ``source``: which store, and which epoch of it, the revisions are of.
        """
        for key, version, collection, state in states:
            if state is not None:
                self._entries[key] = (collection, version, self._write_state(key, collection, state))
        self._entries = {key: self._entries[key] for key, *_ in states}
        entries = [entry for *_, entry in self._entries.values()]
        files.write_json(
            self.folder / "manifest.json",
            {
                "format": FORMAT,
                "rev": rev,
                "source": source,
                "cells": None if cells is None else sorted(cells),
                "collections": entries,
            },
        )
        self._tidy(entries)

    def is_current(self, key: tuple[str, str], collection: Collection) -> bool:
        """Whether the state of a collection is on disk as it is; another one may have taken its place."""
        return key in self._entries and self._entries[key][:2] == (collection, collection.version)

    def _write_state(self, key: tuple[str, str], collection: Collection, state: State) -> dict[str, Any]:
        path = self.folder / f"state-{uuid4().hex}.npz"
        try:
            np.savez(path, allow_pickle=False, **state)
            sync(path)  # its name is sure when the manifest is there
        except OSError:
            path.unlink(missing_ok=True)  # what it has of a disk that is full the next one needs
            raise
        names = json.loads(state["about"].tobytes())["segments"]
        return {
            "owner": key[0],
            "model": key[1],
            "dim": collection.dim,
            "state": path.name,
            "mark": files.fingerprint(path),
            "segments": [[name, files.fingerprint(self.folder / name / "segment.json")] for name in names],
        }

    def _tidy(self, entries: list[dict[str, Any]]) -> None:
        named = {
            "manifest.json",
            *(entry["state"] for entry in entries),
            *(name for entry in entries for name, _ in entry["segments"]),
        }
        for path in self.folder.iterdir():
            if path.name not in named and path.name.startswith(("state-", "segment-", "manifest.json.")):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    # -- reading --------------------------------------------------------------------------------
    def load(self, index: Index) -> Loaded:
        """Fill an index from the newest snapshot; a collection with anything wrong is left out.

        A snapshot of an older version of this program is not read at all.
        """
        manifest = self._read_manifest()
        with suppress(OSError):  # it may not be written, or something else is wrong: the next save says so
            self._tidy(manifest["collections"] if manifest else [])  # a server that died has left half a build
        if manifest is None:
            return Loaded(0, None)
        rev = int(manifest["rev"])
        for entry in manifest["collections"]:
            key = (entry["owner"], entry["model"])
            try:
                collection = self._load_collection(entry, index.capacity)
                index.add(*key, collection)
                self._entries[key] = (collection, collection.version, entry)
            except (DamagedError, OSError, ValueError, KeyError, RuntimeError) as error:
                log.warning("A search collection of %s is rebuilt from the store: %s", key[1], error)
                rev = 0
        cells = manifest["cells"]
        return Loaded(rev, None if cells is None else frozenset(cells), str(manifest["source"]))

    def _read_manifest(self) -> dict[str, Any] | None:
        if not (self.folder / "manifest.json").exists():
            return None
        try:
            return files.read_json(self.folder / "manifest.json", FORMAT)
        except DamagedError as error:
            log.warning("The search snapshot is rebuilt from the store: %s", error)
            return None

    def _load_collection(self, entry: dict[str, Any], capacity: int | None) -> Collection:
        files.verify(self.folder / entry["state"], entry["mark"])
        segments = [builder.load_segment(self.folder / name, mark) for name, mark in entry["segments"]]
        with np.load(self.folder / entry["state"], allow_pickle=False) as state:
            return restore(entry["dim"], capacity, segments, dict(state))


def state_of(collection: Collection) -> State:
    """Return copies of all that a collection's segment folders do not hold. The writing thread calls it."""
    state: State = {}
    segments = []
    for number, part in enumerate(collection.parts):
        count = part.count
        state[f"revs{number}"] = part.revs[:count].copy()
        state[f"alive{number}"] = np.packbits(part.alive[:count])
        if isinstance(part, Segment):
            segments.append(part.folder.name)
        elif isinstance(part, Buffer):
            state[f"ids{number}"] = part.ids[:count].copy()
            # What is deleted is no longer anybody's to keep.
            state[f"vectors{number}"] = np.where(part.alive[:count, None], part.vectors[:count], np.float32(0))
        for which, rows in enumerate(part.tags.values()):
            state[f"tag{number}.{which}"] = np.frombuffer(rows.serialize(), np.uint8)
    about = {"segments": segments, "tags": [list(part.tags) for part in collection.parts]}
    state["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    return state


def restore(dim: int, capacity: int | None, segments: list[Segment], state: State) -> Collection:
    """Return the collection that :func:`state_of` described; its segments are loaded, in that order."""
    about = json.loads(state["about"].tobytes())
    capacity = capacity or buffer_rows(dim)
    parts: list[Part] = list(segments)
    for number, names in enumerate(about["tags"]):
        if number >= len(segments):
            room = capacity if number == len(about["tags"]) - 1 else 0
            parts.append(_restore_buffer(room, state[f"ids{number}"], state[f"vectors{number}"]))
        part = parts[number]
        alive = np.unpackbits(state[f"alive{number}"], count=part.count)
        for row in np.flatnonzero(alive == 0).tolist():
            part.kill(row)
        part.revs[: part.count] = state[f"revs{number}"]
        part.tags = {
            name: BitMap.deserialize(state[f"tag{number}.{which}"].tobytes()) for which, name in enumerate(names)
        }
    return Collection(dim, capacity, parts)


def _restore_buffer(room: int, ids: np.ndarray[Any, Any], vectors: np.ndarray[Any, Any]) -> Buffer:
    buffer = Buffer(max(room, len(ids)), vectors.shape[1])
    for face_id, vector in zip(ids.tolist(), vectors, strict=True):
        buffer.append(face_id, 0, (), vector)
    return buffer
