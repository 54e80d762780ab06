"""Labelled sets of photos on disk: reading their lists, and the embeddings of their faces."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facenapi.errors import BadImage
from facenapi.photos.photo import Photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.base import Detection, Detector

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos, relative to the set's folder, and whether they show one person."""

    first: str
    second: str
    same: bool


def read_pairs(path: Path) -> list[Pair]:
    """Read LFW's ``pairs.txt`` (tabs), or lines of ``path1,path2,same`` with same 0 or 1.

    Raises:
        ValueError: a line is neither; says which.
    """
    pairs = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        fields = next(csv.reader([line])) if "," in line else line.split("\t")
        if len(fields) == 3 and "," in line and fields[2].strip() in ("0", "1"):
            pairs.append(Pair(fields[0].strip(), fields[1].strip(), fields[2].strip() == "1"))
        elif len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            pairs.append(Pair(_lfw(fields[0], fields[1]), _lfw(fields[0], fields[2]), same=True))
        elif len(fields) == 4 and fields[1].isdigit() and fields[3].isdigit():
            pairs.append(Pair(_lfw(fields[0], fields[1]), _lfw(fields[2], fields[3]), same=False))
        elif line.strip() and number > 1:  # the first line of pairs.txt counts the folds
            raise ValueError(f"{path}, line {number}: neither LFW's format nor path1,path2,same: {line[:60]!r}")
    return pairs


async def embed_files(
    detector: Detector, folder: Path, names: Iterable[str], progress: Progress, at_once: int = 16
) -> dict[str, NDArray[np.float32] | None]:
    """Return the vector of the face nearest to the middle of each photo; None where there is no face."""
    found: dict[str, NDArray[np.float32] | None] = {}
    wanted = list(dict.fromkeys(names))
    waiting, begin = iter(wanted), time.monotonic()

    async def work() -> None:
        for name in waiting:
            found[name] = await _embed_file(detector, folder / name)
            if len(found) % 500 == 0:
                left = (time.monotonic() - begin) / len(found) * (len(wanted) - len(found))
                progress(f"{len(found)} of {len(wanted)} photos, {left / 60:.0f} min left")

    await asyncio.gather(*(work() for _ in range(at_once)))
    return found


def pair_distances(
    pairs: list[Pair], vectors: dict[str, NDArray[np.float32] | None]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return distances and labels of the pairs; a photo without a face is as far as can be, 2."""
    distances = []
    for pair in pairs:
        first, second = vectors[pair.first], vectors[pair.second]
        if first is None or second is None:
            distances.append(2.0)
        else:
            distances.append(float(np.linalg.norm(first.astype(np.float64) - second)))
    return np.array(distances), np.array([pair.same for pair in pairs], dtype=np.bool_)


def all_impostors(vectors: dict[str, NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """Return the distances of all pairs of photos in different folders, for sets with a folder per person."""
    names = sorted(name for name, vector in vectors.items() if vector is not None)
    if len(names) < 2:
        return np.empty(0, np.float32)
    people = np.unique([str(Path(name).parent) for name in names], return_inverse=True)[1]
    matrix = np.stack([vectors[name] for name in names if vectors[name] is not None])  # type: ignore[misc]
    parts = []
    for start in range(0, len(names), 512):
        rows = slice(start, start + 512)
        cosines = matrix[rows] @ matrix.T
        later = np.arange(len(names)) > np.arange(len(names))[rows, None]
        strangers = people[rows, None] != people
        parts.append(np.sqrt(np.maximum(2 - 2 * cosines[later & strangers], 0)))
    return np.concatenate(parts)


def nearest_to_middle(faces: list[Detection], photo: Photo) -> Detection | None:
    """Return the face that the photo is of, in sets whose photos are centred on their face."""

    def distance(face: Detection) -> float:
        box = face.box
        return abs(box.x1 + box.x2 - photo.width) + abs(box.y1 + box.y2 - photo.height)

    return min(faces, key=distance, default=None)


async def _embed_file(detector: Detector, path: Path) -> NDArray[np.float32] | None:
    try:
        photo = await asyncio.to_thread(lambda: Photo(path.read_bytes(), path.name, 65535, 1280))
    except BadImage:
        return None
    face = nearest_to_middle(await detector.detect(photo), photo)
    if face is None:
        return None
    vector: NDArray[np.float32] = (await detector.embed(photo, [face]))[0]
    return vector


def _lfw(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"
