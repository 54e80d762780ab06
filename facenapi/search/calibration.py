"""How far a graph can be trusted: measured against exact scans before a segment is published."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from facenapi.search.segment import Graph

GOAL = 0.9995  # share of the probes' matches that a level has to find: half of what is promised may be chance
QUICK_FAR = 1e-6  # the quick level has to be trusted from where so few strangers are alike
RARE = 0.01  # strangers that a search meets on average: next to none
JOIN_FAR = 1e-6  # as alike as so few strangers are, two vectors may share a group
PROBES = 3000  # a person whose group is missed costs all of their vectors: fewer would measure chance
_FEW = 3  # members from which on a group tells how photos of one person differ
QUICK_LISTS = tuple(round(16 * 2 ** (step / 6)) for step in range(30))  # each an eighth longer than the last
LONGEST_LIST = 512
ALL = 0  # no list from the graph: every mean is compared
SCANNED_SHARE = 0.25  # up to so many groups per vector, comparing all means is much less than an exact scan
NEVER = 2.0  # the floor of a level that finds nothing for sure
THRESHOLD_STEP = 0.01  # between thresholds for which a slack is measured
_ALIKE_FAR = 1e-6  # a pair more alike than so few strangers are is of one person
_BLOCK = 4096
_MIXED = 32  # vectors in a random sum


@dataclass(frozen=True, slots=True)
class Level:
    """How to search: a list of ``ef`` groups (:data:`ALL`: of all) has all (by ``GOAL``) vectors at or above
    ``floor`` in it.

    Groups whose means are more than ``slack`` below the threshold need not be looked into. Where all means are
    compared, ``slack`` counts in spreads of a group (:func:`spreads`), for its members surround its centre.
    """

    ef: int
    floor: float
    slack: float


def centres_of(vectors: NDArray[np.float32], first: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of the members of each group (groups, dim); its length tells how much alike they are."""
    centres: NDArray[np.float32] = np.add.reduceat(vectors, first[:-1])
    centres /= np.diff(first)[:, None]
    return centres


def spreads(centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance (root of the mean square) of each group's members from its centre, (groups,)."""
    spread: NDArray[np.float32] = np.sqrt(np.maximum(1 - np.einsum("gd,gd->g", centres, centres), np.float32(1e-6)))
    return spread


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
    centres: NDArray[np.float32],
    load: Callable[[int], Graph],
) -> list[Level]:
    """Return a short list of groups that is good for high thresholds, and what serves low ones.

    That is all groups, if these are few, else a long list. The short list is a step longer than the shortest
    that is good: photos may be less alike than the probes. Among many faces no list finds the strangers that are
    alike by chance; then it is good if it finds all from where there are next to none of them. Probes are made
    like other photos of stored people (:func:`_other_photos`). ``first`` (groups + 1,): where the members of
    each group begin; ``centres``: :func:`centres_of` them.
    """
    random = np.random.default_rng(len(vectors))
    rows = random.choice(len(vectors), min(PROBES, len(vectors)), replace=False)
    quick = similarity_at(vectors, QUICK_FAR)
    rare = similarity_at(vectors, min(QUICK_FAR, RARE / len(vectors)))
    group_of = np.repeat(np.arange(len(centres)), np.diff(first))
    probes = _other_photos(vectors, first, rows, quick, random)
    truth = _neighbours(vectors, probes, similarity_at(vectors, min(0.1, 100 / len(vectors))))
    truth_groups = [group_of[which] for which, _ in truth]
    sims, groups = np.concatenate([sim for _, sim in truth]), np.concatenate(truth_groups)
    near = np.concatenate([centres[some] @ probe for some, probe in zip(truth_groups, probes, strict=True)])
    lengths = np.linalg.norm(centres, axis=1)[groups]  # the graph has means of unit length

    @cache
    def measured(ef: int) -> Level:
        graph = load(ef)
        found = [np.isin(some, graph.search(probe, ef)[0]) for some, probe in zip(truth_groups, probes, strict=True)]
        floor = _floor(sims, np.concatenate(found))
        return Level(ef, floor, _slack(sims, near / lengths, np.ones_like(sims), floor, (1 + GOAL) / 2))

    lists = [ef for ef in (*QUICK_LISTS, LONGEST_LIST) if ef < len(first) or ef == QUICK_LISTS[0]]

    def good_from(trust: float) -> list[int]:
        shortest = bisect_left(lists, True, key=lambda ef: measured(ef).floor <= trust)
        return lists[shortest + 1 :][:1]

    if not len(sims) or len(centres) > SCANNED_SHARE * len(vectors):
        return [measured(ef) for ef in dict.fromkeys((*good_from(quick), lists[-1]))]
    levels = [measured(ef) for ef in good_from(quick) or good_from(rare)]
    spread = spreads(centres)[groups]
    floors = sorted({quick, float(sims.min())}, reverse=True)
    return levels + [Level(ALL, floor, _slack(sims, near, spread, floor, GOAL)) for floor in floors]


def _slack(
    sims: NDArray[np.float32], near: NDArray[np.float32], spread: NDArray[np.float32], floor: float, share: float
) -> float:
    """Return how many spreads the ``near`` of a share of the matches is below the threshold at most.

    That holds for every threshold from ``floor`` on: many of the matches above a high one are of one person and
    close to their group, those that just pass a low one are not.
    """
    slack = 0.0
    for threshold in np.arange(floor, min(1.0, float(sims.max(initial=0))), THRESHOLD_STEP).tolist():
        matches = sims >= threshold
        slack = max(slack, float(np.quantile((threshold - near[matches]) / spread[matches], share)))
    return slack


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
        centres = centres_of(vectors, first)
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
