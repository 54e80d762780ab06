"""How far a graph can be trusted: measured against exact scans before a segment is published."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from facenapi.search.segment import Graph

GOAL = 0.9995  # share of the probes' matches that a level has to find: half of what is promised may be chance
QUICK_FAR = 1e-6  # the quick level has to be trusted from where so few strangers are alike
JOIN_FAR = 1e-6  # as alike as so few strangers are, two vectors may share a group
PROBES = 3000  # a person whose group is missed costs all of their vectors: fewer would measure chance
_FEW = 3  # members from which on a group tells how photos of one person differ
QUICK_LISTS = tuple(round(16 * 2 ** (step / 6)) for step in range(30))  # each an eighth longer than the last
LONGEST_LIST = 512
ALL = 0  # no list from the graph: every mean is compared
SCANNED_SHARE = 0.25  # up to so many groups per vector, comparing all means is much less than an exact scan
NEVER = 2.0  # the floor of a level that finds nothing for sure
_ALIKE_FAR = 1e-6  # a pair more alike than so few strangers are is of one person
_BLOCK = 4096
_MIXED = 32  # vectors in a random sum


@dataclass(frozen=True, slots=True)
class Level:
    """How to search: a list of ``ef`` groups (:data:`ALL`: of all) has all (by ``GOAL``) vectors at or above
    ``floor`` in it.

    Their groups' means are at most ``slack`` less similar than they are themselves, so groups below that
    need not be looked into.
    """

    ef: int
    floor: float
    slack: float


def similarity_at(vectors: NDArray[np.float32], far: float) -> float:
    """Estimate the similarity that a share ``far`` of the pairs of strangers reaches.

    Too few pairs are so alike to count them, and among them would be photos of one person. But the
    distances of strangers are about normal, so two quantiles that only strangers decide tell the rest. That
    they do, however many photos a person has, is sure of the least similar pairs: what is farther above the
    median than these let expect is left out.
    """
    if len(vectors) < 10:
        return 0.9  # too few to tell
    random = np.random.default_rng(1)
    some = vectors[random.choice(len(vectors), min(2000, len(vectors)), replace=False)]
    normal = NormalDist()
    pairs = some[: len(some) // 2] @ some[len(some) // 2 :].T
    least, median = np.quantile(pairs, [normal.cdf(-3), 0.5])
    strangers = pairs[pairs <= median + normal.inv_cdf(1 - _ALIKE_FAR) / 3 * (median - least)]
    quantiles = np.quantile(strangers, [normal.cdf(1), normal.cdf(3)])
    one, three = np.sqrt(2 - 2 * np.minimum(quantiles, 1))
    distance = max(three - (normal.inv_cdf(1 - far) - 3) / 2 * (one - three), 0.01)
    return float(1 - distance**2 / 2)


def calibrate(
    vectors: NDArray[np.float32],
    first: NDArray[np.int64],
    means: NDArray[np.float32],
    load: Callable[[int], Graph],
) -> list[Level]:
    """Return a short list that is good for high thresholds and a long one for all that it can do.

    Behind them come all groups, if these are few: for high thresholds, and for low ones. The short list is a
    step longer than the shortest that is good: photos may be less alike than the probes.
    Probes are made like other photos of stored people (:func:`_other_photos`). ``first`` (groups + 1,):
    where the members of each group begin; ``means``: what the graph holds.
    """
    random = np.random.default_rng(len(vectors))
    rows = random.choice(len(vectors), min(PROBES, len(vectors)), replace=False)
    quick = similarity_at(vectors, QUICK_FAR)
    group_of = np.repeat(np.arange(len(means)), np.diff(first))
    probes = _other_photos(vectors, first, rows, quick, random)
    truth = _neighbours(vectors, probes, similarity_at(vectors, min(0.1, 100 / len(vectors))))
    truth_groups = [group_of[which] for which, _ in truth]
    sims = np.concatenate([sim for _, sim in truth])
    lacks = sims - np.concatenate([means[groups] @ probe for groups, probe in zip(truth_groups, probes, strict=True)])

    def slack(floor: float, share: float) -> float:
        return max(float(np.quantile(lacks[sims >= floor], share)), 0.0) if floor < NEVER else 0.0

    def measured(ef: int) -> Level:
        graph = load(ef)
        found = [
            np.isin(groups, graph.search(probe, ef)[0]) for groups, probe in zip(truth_groups, probes, strict=True)
        ]
        floor = _floor(sims, np.concatenate(found))
        return Level(ef, floor, slack(floor, (1 + GOAL) / 2))

    lists = [ef for ef in (*QUICK_LISTS, LONGEST_LIST) if ef < len(first) or ef == QUICK_LISTS[0]]
    shortest = bisect_left(lists, True, key=lambda ef: measured(ef).floor <= quick)
    safer = lists[min(shortest + 1, len(lists) - 1)]
    levels = [measured(ef) for ef in dict.fromkeys((safer, lists[-1]))]
    if len(sims) and len(means) <= SCANNED_SHARE * len(vectors):
        floors = sorted({quick, float(sims.min())}, reverse=True)
        levels += [Level(ALL, floor, slack(floor, GOAL)) for floor in floors]  # nothing else is missed
    return levels


def _floor(sims: NDArray[np.float32], found: NDArray[np.bool_]) -> float:
    """Return the lowest similarity from which on up the graph finds its share."""
    order = np.argsort(-sims, kind="stable")
    shares = np.cumsum(found[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= GOAL)
    return float(sims[order[good[-1]]]) if len(good) else NEVER


def _other_photos(
    vectors: NDArray[np.float32],
    first: NDArray[np.int64],
    rows: NDArray[np.int64],
    quick: float,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Return unit vectors like photos, that were not enrolled, of the people in ``rows``.

    Who has a group is its centre, changed as the members of groups differ from their centres. Who has not
    is his own vector, changed by noise with the spread of the data to where photos just pass, or pass well.
    """
    sizes = np.diff(first)
    group_of = np.repeat(np.arange(len(sizes)), sizes)
    grouped = np.flatnonzero(sizes[group_of] >= _FEW)
    probes = np.empty((len(rows), vectors.shape[1]), np.float32)
    several = sizes[group_of[rows]] >= _FEW
    own = vectors[rows[~several]]
    noise = _mixed(vectors[random.integers(0, len(vectors), (len(own), _MIXED))], random)
    noise -= np.sum(noise * own, axis=1, keepdims=True) * own
    noise /= np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), np.float32(1e-6))
    cosine = (quick + (1 - quick) * random.uniform(0.2, 0.8, (len(own), 1))).astype(np.float32)
    probes[~several] = cosine * own + np.sqrt(1 - cosine**2) * noise
    if several.any():
        centres = np.add.reduceat(vectors, first[:-1]) / sizes[:, None].astype(np.float32)
        drawn = random.choice(grouped, (int(several.sum()), _MIXED))
        size = sizes[group_of[drawn]][..., None].astype(np.float32)
        apart = (vectors[drawn] - centres[group_of[drawn]]) * np.sqrt(size / (size - 1))
        probes[several] = centres[group_of[rows[several]]] + _mixed(apart, random)
    probes /= np.maximum(np.linalg.norm(probes, axis=1, keepdims=True), np.float32(1e-6))
    return probes


def _mixed(vectors: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return random sums (count, dim) of vectors (count, some, dim), spread as each of them is, like none."""
    weights = random.standard_normal(vectors.shape[:2]).astype(np.float32)
    mixed: NDArray[np.float32] = np.einsum("prd,pr->pd", vectors, weights) / np.float32(vectors.shape[1] ** 0.5)
    return mixed


Truth = list[tuple["NDArray[np.int64]", "NDArray[np.float32]"]]


def _neighbours(vectors: NDArray[np.float32], probes: NDArray[np.float32], floor: float) -> Truth:
    """Return, of each probe, all vectors at or above ``floor`` and their similarities."""
    whos, whiches, sims = [], [], []
    for start in range(0, len(vectors), _BLOCK):
        block = probes @ vectors[start : start + _BLOCK].T
        who, which = np.nonzero(block >= floor)
        whos.append(who)
        whiches.append(which + start)
        sims.append(block[who, which])
    who, which, sim = np.concatenate(whos), np.concatenate(whiches), np.concatenate(sims)
    return [(which[who == probe], sim[who == probe]) for probe in range(len(probes))]
