"""How far a graph can be trusted: measured against exact scans before a segment is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.segment import EF_CHOICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from facenapi.search.segment import Graph

GOAL = 0.9995
PROBES = 400
CROWD = 64  # a floor lets about so many strangers through: what a search list holds with ease
_BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class Measured:
    """``recall``: share of the vectors at or above ``floor`` that the graph returns with list length ``ef``."""

    ef: int
    floor: float
    recall: float


def calibrate(vectors: NDArray[np.float32], load: Callable[[int], Graph]) -> Measured:
    """Find the shortest search list with which the graph misses no match worth the name.

    Probes are stored vectors, half changed as another photo of the person changes them: by noise with
    the spread of the data. The floor is the similarity that only ``CROWD`` others reach; below it,
    searches are exact, so the goal holds from there on.
    """
    random = np.random.default_rng(len(vectors))
    rows = random.choice(len(vectors), min(PROBES, len(vectors)), replace=False)
    floor = _floor(vectors, vectors[rows])
    probes = _other_photos(vectors, rows, random)
    truth = _matches(vectors, probes, floor)
    measured = Measured(EF_CHOICES[-1], 1.0, 0.0)
    for ef in EF_CHOICES:
        recall = _recall(load(ef), probes, truth, floor)
        if recall > measured.recall:
            measured = Measured(ef, floor, recall)
        if recall >= GOAL:
            return measured
    # Not even the longest list is good enough: leave it to exact scans, which are always right.
    return measured if measured.recall >= 0.998 else Measured(measured.ef, 2.0, measured.recall)


def _floor(vectors: NDArray[np.float32], probes: NDArray[np.float32]) -> float:
    crowd = min(CROWD, len(vectors) - 1)
    best = np.full((len(probes), crowd + 1), -1, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        sims = probes @ vectors[start : start + _BLOCK].T
        best = np.partition(np.hstack([best, sims]), -crowd - 1, axis=1)[:, -crowd - 1 :]
    return float(np.quantile(best[:, 0], 0.9))


def _other_photos(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.float32]:
    """Return probes at a cosine of 0.55 to 0.85 from the vectors in ``rows``."""
    others = vectors[random.integers(0, len(vectors), (len(rows), 64))]
    noise = np.einsum("prd,pr->pd", others, random.standard_normal((len(rows), 64)).astype(np.float32))
    own = vectors[rows]
    noise -= np.sum(noise * own, axis=1, keepdims=True) * own
    noise /= np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), 1e-6)
    cosine = random.uniform(0.55, 0.85, (len(rows), 1)).astype(np.float32)
    probes = cosine * own + np.sqrt(1 - cosine**2) * noise
    return np.ascontiguousarray(probes / np.linalg.norm(probes, axis=1, keepdims=True), np.float32)


def _matches(vectors: NDArray[np.float32], probes: NDArray[np.float32], floor: float) -> list[set[int]]:
    truth: list[set[int]] = [set() for _ in probes]
    for start in range(0, len(vectors), _BLOCK):
        who, which = np.nonzero(probes @ vectors[start : start + _BLOCK].T >= floor)
        for probe, row in zip(who.tolist(), (which + start).tolist(), strict=True):
            truth[probe].add(row)
    return truth


def _recall(graph: Graph, probes: NDArray[np.float32], truth: list[set[int]], floor: float) -> float:
    """Return the share of matches found, leaving out probes whose list would have been too short."""
    wanted = found = 0
    for probe, matches in zip(probes, truth, strict=True):
        ordinals, sims = graph.search(probe, graph.ef)
        if len(sims) and sims[-1] < floor:  # otherwise the search goes on exactly
            wanted += len(matches)
            found += len(matches.intersection(ordinals.tolist()))
    return found / wanted if wanted else 0.0
