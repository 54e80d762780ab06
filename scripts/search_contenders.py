"""What ``bench_search.py`` measures: faces, our collection, and the indexes it is measured beside."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import faiss
import hnswlib
import numpy as np

from facenapi.search.index.collection import Collection, tail_rows
from facenapi.search.index.parts import Tail
from facenapi.search.upkeep.builder import Builder, load_segment

if TYPE_CHECKING:
    from collections.abc import Callable

DIM, MOST, GOAL = 128, 16, 0.999
THRESHOLD, STRICT = 0.45, 0.55  # among a million, one match in nine and next to none is a stranger alike by chance
SHARES = (0.001, 0.01, 0.1, 0.5)
PEERS = ("hnswlib", "faiss HNSW", "faiss Flat", "numpy")
LISTS = (8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096)
_BLOCK = 8192


def faces(count, queries, seed=1):
    """Return vectors (count, DIM) and probes (queries, DIM): genuine pairs 0.69 alike, strangers 0.00 ± 0.10."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, DIM + 1, dtype=np.float32) ** -0.2

    def draw(rows):
        return random.standard_normal((rows, DIM), dtype=np.float32) * spectrum

    def shots(who):
        made = people[who] + 0.67 * draw(len(who))
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    people = draw(count // 10)
    vectors = shots(random.permutation(np.repeat(np.arange(len(people)), 10)))
    strangers = draw(queries // 5)
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    probes = np.vstack([shots(random.integers(0, len(people), queries - len(strangers))), strangers])
    return vectors.astype(np.float32), np.ascontiguousarray(probes[random.permutation(queries)], np.float32)


def matches(vectors, probes):
    """Return, per probe, the rows of all its matches, best first: an exact scan in blocks."""
    parts = [[] for _ in probes]
    for start in range(0, len(vectors), _BLOCK):
        sims = probes @ vectors[start : start + _BLOCK].T
        for probe, row in zip(*np.nonzero(sims >= THRESHOLD), strict=True):
            parts[probe].append((-sims[probe, row], start + int(row)))
    return [[row for _, row in sorted(found)] for found in parts]


def recall(search, probes, truth):
    """Return the share of the best ``MOST`` of the true matches that a search returns."""
    best = [set(rows[:MOST]) for rows in truth]
    found = sum(len(set(search(probe)) & wanted) for probe, wanted in zip(probes, best, strict=True))
    return found / max(1, sum(map(len, best)))


@dataclass
class Contender:
    """One way to search: its function of a probe, and what is known of it."""

    search: Callable
    about: dict = field(default_factory=dict)
    share: float = 1.0  # of a block's probes: exact scans are slow


class Ours:
    """The server's collection: a segment, a tail that is half full, a deleted face in a thousand.

    Face ids are row numbers. ``folder``: where the segment is, or is built as the server does it.
    """

    def __init__(self, vectors, folder):
        count, tail = len(vectors), tail_rows(DIM) // 2
        self.about = built(folder, "ours", lambda: self._build(vectors[: count - tail], folder / "segment"))
        self.collection = Collection(DIM, None, (load_segment(folder / "segment"), Tail(2 * tail, DIM)))
        drawn = np.random.default_rng(2).random(count)
        self.members = {str(share): set(np.flatnonzero(drawn < share).tolist()) for share in SHARES}
        for row in np.flatnonzero(drawn < max(SHARES)).tolist():
            if row < count - tail:
                self.collection.retag(row, 1, self._tags(row))
        for row in range(count - tail, count):
            self.collection.upsert(row, 1, self._tags(row), vectors[row])
        self.dead = set(range(0, count, 1000))
        for row in self.dead:
            self.collection.delete(row, 2)

    def _tags(self, row):
        return [tag for tag, members in self.members.items() if row in members]

    def _build(self, vectors, folder):
        Builder(niceness=0).build(plan_of(vectors), folder)

    def search(self, probe, tag=None, threshold=THRESHOLD):
        return [hit.id for hit in self.collection.search(probe, MOST, threshold, tag)]


def plan_of(vectors):
    """Return the plan of a segment of these vectors."""
    source = Tail(len(vectors), DIM)
    for row, vector in enumerate(vectors):
        source.append(row, 1, (), vector)
    return Collection(DIM, None, (source, Tail(1, DIM))).plan()


def built(folder, name, build):
    """Build unless it was kept; return the seconds that the build took, then or now."""
    note = folder / f"{name}.json"
    if not note.exists():
        began = time.perf_counter()
        build()
        note.write_text(json.dumps({"build_s": time.perf_counter() - began}))
    return json.loads(note.read_text())


def peer(name, vectors, folder):
    """Return a contender and the function that sets its list length, None for one that scans."""
    makers = {"hnswlib": hnsw, "faiss HNSW": _faiss_hnsw, "faiss Flat": _faiss_flat, "numpy": _numpy}
    return makers[name](vectors, folder)


def hnsw(vectors, folder, threshold=THRESHOLD):
    """Return hnswlib's index as a contender, and the function that sets its list length."""
    path, index = folder / "hnswlib.index", hnswlib.Index("ip", DIM)

    def build():
        index.init_index(len(vectors), ef_construction=200, M=16)
        index.add_items(vectors, num_threads=1)
        index.save_index(str(path))

    about = built(folder, "hnswlib", build)
    index = hnswlib.Index("ip", DIM)
    index.load_index(str(path))
    index.set_num_threads(1)

    def search(probe):
        ids, distances = index.knn_query(probe, MOST, num_threads=1)
        return ids[0][distances[0] <= 1 - threshold].tolist()

    about["bytes_per_face"] = path.stat().st_size / len(vectors)
    return Contender(search, about), lambda ef: index.set_ef(max(ef, MOST))


def _faiss_search(index):
    def search(probe):
        sims, ids = index.search(probe[None], MOST)
        return ids[0][sims[0] >= THRESHOLD].tolist()

    return search


def _faiss_hnsw(vectors, folder):
    path = folder / "faiss.index"

    def build():
        index = faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
        faiss.write_index(index, str(path))

    about = built(folder, "faiss", build)
    index = faiss.read_index(str(path))

    def set_list(ef):
        index.hnsw.efSearch = ef

    about["bytes_per_face"] = path.stat().st_size / len(vectors)
    return Contender(_faiss_search(index), about), set_list


def _faiss_flat(vectors, _):
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    return Contender(_faiss_search(index), {"bytes_per_face": 4.0 * DIM}, share=0.05), None


def _numpy(vectors, _):
    def search(probe):
        sims = vectors @ probe
        rows = np.flatnonzero(sims >= THRESHOLD)
        return rows[np.argsort(-sims[rows])][:MOST].tolist()

    return Contender(search, {"bytes_per_face": 4.0 * DIM}, share=0.05), None


def tuned(contender, set_list, probes, truth):
    """Set the shortest list that finds enough, note it and its recall, and return the contender."""
    for ef in LISTS if set_list else ():
        set_list(ef)
        contender.about |= {"list": ef, "recall": recall(contender.search, probes, truth)}
        if contender.about["recall"] >= GOAL:
            break
    return contender
