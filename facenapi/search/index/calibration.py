"""How far a graph can be trusted: measured against exact scans before a segment is published."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.index.geometry import spreads, unit
from facenapi.search.index.probes import nearly_the_same, neighbours, other_photos, probe_count
from facenapi.search.index.segment import ALL, Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from facenapi.search.index.segment import Graph

GOAL = 0.9995  # share of the probes' matches that a level has to find: half of what is promised may be chance
QUICK_FAR = 1e-6  # the quick level has to be trusted from where so few strangers are alike
RARE = 0.01  # strangers that a search meets on average: next to none
JOIN_FAR = 1e-6  # as alike as so few strangers are, two vectors may share a group
QUICK_LISTS = tuple(round(16 * 2 ** (step / 6)) for step in range(30))  # each an eighth longer than the last
LONGEST_LIST = 512
SCANNED_SHARE = 0.25  # up to so many groups per vector, comparing all means is much less than an exact scan
NEVER = 2.0  # the floor of a level that finds nothing for sure
THRESHOLD_STEP = 0.01  # between thresholds for which a slack is measured, or a fiftieth of their range
_ALIKE_FAR = 1e-6  # a pair more alike than so few strangers are is of one person


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
    like other photos of stored people (``probes.py``). ``first`` (groups + 1,): where the members of
    each group begin; ``centres``: theirs.
    """
    random = np.random.default_rng(len(vectors))
    quick = similarity_at(vectors, QUICK_FAR)
    rare = similarity_at(vectors, min(QUICK_FAR, RARE / len(vectors)))
    lowest = similarity_at(vectors, min(0.1, 100 / len(vectors)))
    rows = random.choice(len(vectors), probe_count(vectors, lowest), replace=False)
    group_of = np.repeat(np.arange(len(centres)), np.diff(first))
    probes = other_photos(vectors, first, rows, quick, random)
    truth = neighbours(vectors, probes, lowest)
    truth_groups = [group_of[which] for which, _ in truth]
    sims, groups = np.concatenate([sim for _, sim in truth]), np.concatenate(truth_groups)
    spread = spreads(centres)
    alike = nearly_the_same(vectors, rows, float(np.quantile(sims, 0.99)) if len(sims) else quick, random)

    def level(ef: int, floor: float, share: float) -> Level:
        """Return a level that compares with unit means as the graph does, or with centres and their spreads."""
        means, spans = (centres, spread) if ef == ALL else (unit(centres), np.ones_like(spread))
        near = np.concatenate([means[some] @ probe for some, probe in zip(truth_groups, probes, strict=True)])
        slack = _slack(sims, near, spans[groups], floor, share)
        own = np.tile(group_of[rows], 2)
        reached = np.einsum("pd,pd->p", means[own], alike) + slack * spans[own]
        return Level(ef, floor, slack, _ceiling(np.einsum("pd,pd->p", vectors[np.tile(rows, 2)], alike), reached))

    @cache
    def measured(ef: int) -> Level:
        graph = load(ef)
        found = [np.isin(some, graph.search(probe, ef)[0]) for some, probe in zip(truth_groups, probes, strict=True)]
        return level(ef, _floor(sims, np.concatenate(found)), (1 + GOAL) / 2)

    lists = [ef for ef in (*QUICK_LISTS, LONGEST_LIST) if ef < len(first) or ef == QUICK_LISTS[0]]

    def good_from(trust: float) -> list[int]:
        shortest = bisect_left(lists, True, key=lambda ef: measured(ef).floor <= trust)
        return lists[shortest + 1 :][:1]

    if not len(sims) or len(centres) > SCANNED_SHARE * len(vectors):
        return [measured(ef) for ef in dict.fromkeys((*good_from(quick), lists[-1]))]
    levels = [measured(ef) for ef in good_from(quick) or good_from(rare)]
    return levels + [level(ALL, floor, GOAL) for floor in sorted({quick, float(sims.min())}, reverse=True)]


def _slack(
    sims: NDArray[np.float32], near: NDArray[np.float32], spread: NDArray[np.float32], floor: float, share: float
) -> float:
    """Return how many spreads the ``near`` of a share of the matches is below the threshold at most.

    That holds for every threshold from ``floor`` on: many of the matches above a high one are of one person and
    close to their group, those that just pass a low one are not.
    """
    slack = 0.0
    for threshold in _thresholds(floor, min(1.0, float(sims.max(initial=0)))):
        matches = sims >= threshold
        slack = max(slack, float(np.quantile((threshold - near[matches]) / spread[matches], share)))
    return slack


def _thresholds(lowest: float, highest: float) -> list[float]:
    """Return the thresholds to measure at, from ``lowest`` to below ``highest``; none if it is not below that."""
    step = min(THRESHOLD_STEP, (highest - lowest) / 50)
    return np.arange(lowest, highest, step).tolist() if lowest < highest else []


def _ceiling(sims: NDArray[np.float32], reached: NDArray[np.float32]) -> float:
    """Return the highest threshold for groups with which, at every threshold for faces, probes find the face that
    each of them is so similar to.

    ``reached``: the threshold up to which the group of that face is looked into.
    """
    ceiling = 1.0
    for threshold in _thresholds(float(sims.min()), float(sims.max())):
        most = float(np.quantile(reached[sims >= threshold], 1 - GOAL))
        if most < threshold:
            ceiling = min(ceiling, most)
    return ceiling


def _floor(sims: NDArray[np.float32], found: NDArray[np.bool_]) -> float:
    """Return the lowest similarity from which on up the graph finds its share."""
    order = np.argsort(-sims, kind="stable")
    shares = np.cumsum(found[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= GOAL)
    return float(sims[order[good[-1]]]) if len(good) else NEVER
