"""Loads damaged snapshots, one after the other; a process of its own, because NMSLIB would crash it.

    python -m tests.search.corrupt SNAPSHOT SCRATCH FIRST LAST

SNAPSHOT holds two collections with a segment each, of 16 and of 24 dimensions; every trial damages one
file of a copy. Prints a line per trial: its number, what was done, and how many collections survived.
"""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import numpy as np

from facenapi.search.index.index import Index
from facenapi.search.index.stored import DamagedError
from facenapi.search.upkeep.snapshot import Snapshots
from tests.search.support import faces_like

DIMS, COUNT = (16, 24), 400


def photos(dim: int) -> np.ndarray:
    """Return the vectors of a collection, of which a few are copies of one photo."""
    vectors = faces_like(COUNT, dim)
    vectors[50:60] = vectors[0]
    return vectors


def truncate(data, other, random):
    """Cut the end off."""
    return data[: int(random.integers(len(data)))]


def flip(data, other, random):
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 9))):
        changed[int(random.integers(len(changed)))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def flip_head(data, other, random):
    """Flip a bit in the first 96 bytes, where sizes and offsets are."""
    changed = bytearray(data)
    changed[int(random.integers(min(96, len(changed))))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def overwrite(data, other, random):
    """Put noise or zeros over a stretch."""
    start, size = int(random.integers(len(data))), int(random.integers(1, 4096))
    patch = random.bytes(size) if random.random() < 0.5 else bytes(size)
    return (data[:start] + patch + data[start + size :])[: len(data)]


def swap(data, other, random):
    """Take the file of the other collection, which has another dimension."""
    return other


def lengthen(data, other, random):
    """Append noise."""
    return data + random.bytes(int(random.integers(1, 4096)))


def replace(data, other, random):
    """Have something else altogether."""
    return [b"", b"\0" * len(data), b"<html>not found</html>", random.bytes(len(data))][int(random.integers(4))]


DAMAGES = (truncate, flip, flip_head, overwrite, swap, lengthen, replace)


def trial(number: int, snapshot: Path, folder: Path) -> str:
    """Damage a copy and load it: what is loaded must answer right, and what is not must be asked for again."""
    random = np.random.default_rng(number)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(snapshot, folder)
    segments = sorted(folder.glob("segment-*"))
    arrays = ["vectors", "sums", "ids", "codes", "firsts"]
    name = str(random.choice(["manifest.json", "state", "segment.json", *arrays, *["graph.nms"] * 8]))
    if name == "manifest.json":
        victim = other = folder / name
    elif name == "state":
        victim, other = random.permutation(sorted(folder.glob("state-*")))
    else:
        victim, other = (segment / name for segment in random.permutation(segments))
    damage = DAMAGES[int(random.integers(len(DAMAGES)))]
    before = victim.read_bytes()
    after = damage(before, other.read_bytes(), random)
    victim.write_bytes(after)
    index = Index(100)
    loaded = Snapshots(folder).load(index)
    assert len(index.collections) == 2 or loaded.rev == 0
    seen = len(index.collections) < 2
    for (owner, _), collection in index.collections.items():
        vectors = photos(int(owner))
        assert collection.live == COUNT
        for row in range(0, COUNT, 1 if victim.name == "vectors" else 37):
            try:
                (hits,) = collection.search([vectors[row]], 1, 0.5)
                assert [hit.id for hit in hits] == [0 if 50 <= row < 60 else row]
            except DamagedError:
                seen = True  # vectors are looked at when they are read
    assert before == after or seen, "damage went unseen"
    return f"{number} {victim.name} {damage.__name__} {len(index.collections)}"


if __name__ == "__main__":
    logging.disable()
    source, scratch, start, end = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    for trial_number in range(start, end):
        sys.stdout.write(trial(trial_number, source, scratch) + "\n")
        sys.stdout.flush()
