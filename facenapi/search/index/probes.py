"""What a new segment is searched for when it is calibrated: vectors like photos that were not enrolled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.index.geometry import centres_of, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Truth = list[tuple[NDArray[np.int64], NDArray[np.float32]]]

PROBES = 6000  # a person whose group is missed costs all of their vectors: fewer would measure chance
COMPARISONS = 600_000_000  # of probes and vectors; among many vectors half as many probes have to do
PAIRS = 3_000_000  # of a probe and a match: where people have very many photos, fewer probes do
_FEW = 3  # members from which on a group tells how photos of one person differ
_BLOCK = 4096
_MIXED = 32  # vectors in a random sum


def probe_count(vectors: NDArray[np.float32], floor: float) -> int:
    """Return how many probes to make, so that their matches at or above ``floor`` are not too many to be kept."""
    some = vectors[:: max(1, len(vectors) // 100)]
    matches = sum(int(np.count_nonzero(vectors @ probe >= floor)) for probe in some) / len(some)
    most = max(PROBES // 2, COMPARISONS // len(vectors))
    return min(len(vectors), PROBES, most, max(100, int(PAIRS / max(matches, 1))))


def other_photos(
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
    cosine = (quick + (1 - quick) * random.uniform(0.2, 0.8, (len(own), 1))).astype(np.float32)
    probes[~several] = _altered(vectors, own, cosine, random)
    if several.any():
        centres = centres_of(vectors, first)
        drawn = random.choice(grouped, (int(several.sum()), _MIXED))
        size = sizes[group_of[drawn]][..., None].astype(np.float32)
        apart = (vectors[drawn] - centres[group_of[drawn]]) * np.sqrt(size / (size - 1))
        probes[several] = centres[group_of[rows[several]]] + _mixed(apart, random)
    return unit(probes)


def nearly_the_same(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], least: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return probes (2 * rows, dim) more like the ``rows`` than other photos are: ``least`` alike or more, and then
    a copy of each."""
    own = vectors[rows]
    cosine = (least + (1 - least) * random.random((len(own), 1))).astype(np.float32)
    return np.concatenate([_altered(vectors, own, cosine, random), own])


def _altered(
    vectors: NDArray[np.float32], own: NDArray[np.float32], cosine: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float32]:
    """Return unit vectors so similar to ``own`` as ``cosine`` (count, 1) says, with noise like the data."""
    cosine = np.minimum(cosine, np.float32(1))  # copies may be a rounding more alike than that
    noise = _mixed(vectors[random.integers(0, len(vectors), (len(own), _MIXED))], random)
    noise -= np.sum(noise * own, axis=1, keepdims=True) * own
    altered: NDArray[np.float32] = cosine * own + np.sqrt(1 - cosine**2).astype(np.float32) * unit(noise)
    return altered


def _mixed(vectors: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return random sums (count, dim) of vectors (count, some, dim), spread as each of them is, like none."""
    weights = random.standard_normal(vectors.shape[:2]).astype(np.float32)
    mixed: NDArray[np.float32] = np.einsum("prd,pr->pd", vectors, weights) / np.float32(vectors.shape[1] ** 0.5)
    return mixed


def neighbours(vectors: NDArray[np.float32], probes: NDArray[np.float32], floor: float) -> Truth:
    """Return, of each probe, all vectors at or above ``floor`` and their similarities."""
    whos, whiches, sims = [], [], []
    for start in range(0, len(vectors), _BLOCK):
        block = probes @ vectors[start : start + _BLOCK].T
        who, which = np.nonzero(block >= floor)
        whos.append(who)
        whiches.append(which + start)
        sims.append(block[who, which])
    who, which, sim = np.concatenate(whos), np.concatenate(whiches), np.concatenate(sims)
    order = np.argsort(who, kind="stable")
    ends = np.searchsorted(who[order], np.arange(1, len(probes)))
    return list(zip(np.split(which[order], ends), np.split(sim[order], ends), strict=True))
