"""What ``bench_search.py`` measures: vectors like those of networks, our collection, and other indexes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import faiss
import hnswlib
import numpy as np

from facenapi.search.index.collection import Collection, buffer_rows
from facenapi.search.index.parts import Buffer
from facenapi.search.upkeep.builder import Builder, load_segment

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL = 0.999
LISTS = (16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)
SHARES = (0.001, 0.01, 0.1, 0.5)  # of galleries
_BLOCK = 8192


@dataclass(frozen=True)
class Network:
    """Vectors as a network makes them: strangers are ``common**2 / (1 + common**2)`` alike on average, their spread
    follows from ``decay`` (the k-th principal direction has ``k**-decay`` of the first one's), how much alike photos
    of one person are from ``noise``. ``thresholds``: similarities from which a search is asked for matches."""

    dim: int
    decay: float
    noise: float
    common: float
    thresholds: tuple[float, float]


NETWORKS = {
    "mobilefacenet": Network(192, 0.42, 0.655, 0.0, (0.45, 0.56)),  # strangers .00 +- .15, one person .70
    "dlib": Network(128, 0.3, 0.7, 2.4, (0.92, 0.94)),  # strangers .85 +- .02, one person .95
}


def faces(network, count, shots, queries, seed=1):
    """Return vectors (count, dim) and probes (queries, dim): other photos, a fifth of somebody unknown."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, network.dim + 1, dtype=np.float32) ** -network.decay
    turn = np.linalg.qr(random.standard_normal((network.dim, network.dim)))[0].astype(np.float32)

    def draw(rows):
        return random.standard_normal((rows, network.dim), dtype=np.float32) * spectrum

    def unit(rows):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def photos(who, of):
        rows = unit(of[who] + np.float32(network.noise) * draw(len(who)))
        rows[:, 0] += network.common
        return unit(rows) @ turn

    people, strangers = draw(-(-count // shots)), draw(queries // 5)
    vectors = photos(random.permutation(np.repeat(np.arange(len(people)), shots)[:count]), people)
    probes = np.vstack(
        [
            photos(random.integers(0, len(people), queries - len(strangers)), people),
            photos(np.arange(len(strangers)), strangers),
        ]
    )
    return np.ascontiguousarray(vectors), np.ascontiguousarray(probes[random.permutation(len(probes))])


def nearest(vectors, probes, most):
    """Return the similarities of the best ``most`` of each probe, best first, (probes, most)."""
    best = np.full((len(probes), most), -2, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        both = np.hstack([best, probes @ vectors[start : start + _BLOCK].T])
        best = -np.partition(-both, most - 1, axis=1)[:, :most]
    return -np.sort(-best, axis=1)


def recall(answers, best, n, floor):
    """Return the share of the best ``n`` at or above ``floor`` that answers (similarities of each probe) have."""
    found = wanted = 0
    for sims, right in zip(answers, best[:, :n], strict=True):
        right = right[right >= floor]  # noqa: PLW2901
        least = right.min(initial=2) - 1e-5
        found += min(len(right), int(np.count_nonzero(np.asarray(sims) >= least)))
        wanted += len(right)
    return found / max(1, wanted)


@dataclass
class Contender:
    """``search(probes, n, floor)`` returns the similarities that it finds, of each probe."""

    search: Callable
    about: dict = field(default_factory=dict)
    set_list: Callable | None = None


class Ours:
    """The server's collection: a segment, a buffer that is half full, a deleted face in a thousand, galleries."""

    def __init__(self, vectors, folder):
        count, dim = vectors.shape
        half = buffer_rows(dim) // 2
        self.about = built(folder, "ours", lambda: build(vectors[: count - half], folder / "segment"))
        segment = load_segment(folder / "segment")
        self.about["graph"] = segment.graph and [segment.graph.ef, segment.graph.most]
        self.collection = Collection(dim, None, (segment, Buffer(2 * half, dim)))
        drawn = np.random.default_rng(2).random(count)
        for row in np.flatnonzero(drawn[: count - half] < max(SHARES)).tolist():
            self.collection.retag(row, 1, [str(share) for share in SHARES if drawn[row] < share])
        for row in range(count - half, count):
            self.collection.upsert(row, 1, (), vectors[row])
        self.dead = np.arange(0, count, 1000)
        for row in self.dead.tolist():
            self.collection.delete(row, 2)

    def search(self, probes, n, floor, tag=None):
        answers = self.collection.search(list(probes), n, floor, tag)
        return [[hit.similarity for hit in hits] for hits in answers]


def build(vectors, folder):
    """Build a segment as the server does."""
    Builder(niceness=0).build(plan_of(vectors), folder)


def plan_of(vectors):
    """Return the plan of a segment of these vectors."""
    source = Buffer(len(vectors), vectors.shape[1])
    for row, vector in enumerate(vectors):
        source.append(row, 1, (), vector)
    return Collection(vectors.shape[1], None, (source, Buffer(1, vectors.shape[1]))).plan()


def built(folder, name, make):
    """Build unless it was kept; return the seconds of the processor that the build took, then or now."""
    note = folder / f"{name}.json"
    if not note.exists():
        began = sum(_cpu())
        make()
        note.write_text(json.dumps({"build_s": sum(_cpu()) - began}))
    return json.loads(note.read_text())


def _cpu():
    import resource  # noqa: PLC0415 - of Unix only

    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return [usage.ru_utime + usage.ru_stime for usage in usages]


def hnswlib_of(vectors, folder):
    """Return hnswlib's index."""
    path, dim = folder / "hnswlib.index", vectors.shape[1]

    def make():
        index = hnswlib.Index("ip", dim)
        index.init_index(len(vectors), ef_construction=200, M=16)
        index.add_items(vectors, num_threads=1)
        index.save_index(str(path))

    about = built(folder, "hnswlib", make)
    index = hnswlib.Index("ip", dim)
    index.load_index(str(path))
    index.set_num_threads(1)
    about["bytes_per_face"] = path.stat().st_size / len(vectors)

    def search(probes, n, floor):
        _, distances = index.knn_query(probes, n, num_threads=1)
        return [row[row >= floor] for row in 1 - distances]

    return Contender(search, about, index.set_ef)


def _faiss(index, about, set_list=None):
    def search(probes, n, floor):
        sims, _ = index.search(np.ascontiguousarray(probes), n)
        return [row[row >= floor] for row in sims]

    return Contender(search, about, set_list)


def faiss_hnsw(vectors, folder):
    """Return faiss' graph."""
    path = folder / "faiss.index"

    def make():
        index = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        index.add(vectors)
        faiss.write_index(index, str(path))

    about = built(folder, "faiss", make)
    index = faiss.read_index(str(path))
    about["bytes_per_face"] = path.stat().st_size / len(vectors)
    return _faiss(index, about, lambda ef: setattr(index.hnsw, "efSearch", ef))


def faiss_sq8(vectors, _):
    """Return faiss' scan in eight bits, which rounds similarities and looks at nothing twice."""
    began = time.thread_time()
    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:100_000])
    index.add(vectors)
    return _faiss(index, {"build_s": time.thread_time() - began, "bytes_per_face": float(vectors.shape[1])})


PEERS = {"hnswlib": hnswlib_of, "faiss HNSW": faiss_hnsw, "faiss SQ8": faiss_sq8}
