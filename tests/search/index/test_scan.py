"""The scan in two steps gives the answers of computing everything, to the last bit."""

import numpy as np
import pytest

from facenapi.search.index import codes as codes_module
from facenapi.search.index.codes import Codes, encode, rounding
from facenapi.search.index.scan import Best, scan
from facenapi.search.index.stored import firsts_of, sums_of
from tests.search.support import faces_like
from tests.support.effort import daily


def unit(vectors):
    return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def axes(count, dim):
    """Vectors that lie along an axis, the worst for a scale that all share."""
    return np.eye(dim, dtype=np.float32)[np.arange(count) % dim]


def copies(count, dim):
    """Few people, copies, and copies that differ by a rounding; one person has half of all faces."""
    vectors = faces_like(count, dim, shots=8)
    vectors[: count // 2] = vectors[0]
    noise = np.random.default_rng(4).standard_normal((count // 4, dim)).astype(np.float32)
    vectors[: count // 4] += np.float32(1e-7) * noise
    return unit(vectors)


DATA = {
    "photos": lambda count, dim: faces_like(count, dim, shots=10),
    "one photo each": lambda count, dim: faces_like(count, dim, shots=1),
    "much in common": lambda count, dim: faces_like(count, dim, shots=8, noise=0.4, common=2.4),
    "copies": copies,
    "axes": axes,
}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(codes_module, "BLOCK", 500)
    monkeypatch.setattr("facenapi.search.index.scan.BLOCK", 500)


class Vectors:
    """Vectors as they are read from a file."""

    slack, firsts = 0.0, None

    def __init__(self, vectors):
        self._vectors = vectors

    def similarities(self, rows, probes):
        return np.vecdot(self._vectors[rows], probes)


def codes_of(vectors):
    return Codes(*encode(vectors), firsts(vectors))


def firsts(vectors):
    return firsts_of(vectors, np.array(sums_of(vectors.data.cast("B"), vectors.strides[0]), np.uint32))


def searched(codes, vectors, probes, n, floor, allowed=None):  # noqa: PLR0917
    """Return pairs of minus similarity and row, best first, of each probe, and how many vectors had to be read."""
    best, exact = (Best(near, probes, n, floor) for near in (codes, Vectors(vectors)))
    scan(codes, best, allowed)
    exact.show([(number, rows) for number, (rows, _) in enumerate(best.found)])
    pairs = [sorted(zip((-sims).tolist(), rows.tolist(), strict=True))[:n] for rows, sims in exact.found]
    return pairs, sum(len(rows) for rows, _ in best.found)


@pytest.mark.parametrize("dim", daily([192, 16]))
@pytest.mark.parametrize("kind", daily(["photos", "copies", "one photo each", "much in common", "axes"], 2))
@pytest.mark.usefixtures("small_blocks")
def test_answers_are_those_of_comparing_all_to_the_last_bit(kind, dim):
    vectors = DATA[kind](1200, dim)
    random = np.random.default_rng(dim)
    noise = random.standard_normal((4, dim)).astype(np.float32)
    probes = [*unit(vectors[random.integers(0, 1200, 4)] + np.float32(0.03) * noise), vectors[3], -vectors[3]]
    allowed = random.random(1200) < 0.8
    rows = codes_of(vectors)
    for n, floor in [(1, None), (10, None), (2000, None), (1, 0.56), (10, 0.3), (400, 0.3), (10, 0.9999), (5, 2.0)]:
        found, _ = searched(rows, vectors, probes, n, floor, allowed)
        for probe, pairs in zip(probes, found, strict=True):
            sims = np.vecdot(vectors, probe)
            right = (allowed & (sims >= np.float32(-2 if floor is None else floor))).nonzero()[0]
            right = right[np.lexsort((right, -sims[right]))][:n]
            assert pairs == list(zip((-sims[right]).tolist(), right.tolist(), strict=True))


def test_few_rows_are_compared_again_and_few_more_than_asked_for_are_read(monkeypatch):
    vectors, shown = faces_like(10_000, 192, shots=10), []
    show = Best.show
    monkeypatch.setattr(
        Best, "show", lambda best, rows: (shown.extend(map(len, dict(rows).values())), show(best, rows))
    )
    rows = Codes(*encode(vectors))
    for probe in vectors[:50]:
        pairs, read = searched(rows, vectors, [probe], 10, None)
        assert len(pairs[0]) == 10 <= read <= 12
    assert sum(shown) < 0.01 * 50 * len(vectors)


def test_of_many_copies_no_more_than_are_asked_for_are_compared(monkeypatch):
    vectors, shown = faces_like(10_000, 192, shots=10), []
    vectors[np.random.default_rng(1).random(10_000) < 0.5] = vectors[3]
    monkeypatch.setattr("facenapi.search.index.scan.BLOCK", 2000)
    monkeypatch.setattr(codes_module, "BLOCK", 2000)
    rows = Codes(*encode(vectors), firsts(vectors))
    compare = rows.similarities
    monkeypatch.setattr(rows, "similarities", lambda some, probes: shown.append(len(some)) or compare(some, probes))
    alive = np.arange(10_000) % 3 > 0
    for n in (1, 10):
        ((pairs,), read) = searched(rows, vectors, [vectors[3]], n, None, alive)
        same = np.flatnonzero(alive & (vectors == vectors[3]).all(axis=1))
        assert [row for _, row in pairs] == same[:n].tolist()
        assert read <= 10 * n  # of each block at most twice
    assert sum(shown) < 500


def test_vectors_of_the_same_checksum_are_not_taken_for_copies():
    vectors = faces_like(20)
    vectors[[5, 7]] = vectors[3]
    assert firsts_of(vectors, np.arange(20, dtype=np.uint32)) is None
    assert firsts_of(vectors[:3], np.zeros(3, np.uint32)) is None
    same = firsts(vectors)
    assert same.tolist() == [3 if row in (5, 7) else row for row in range(20)]
    by_chance = np.arange(20, dtype=np.uint32)
    by_chance[[3, 4, 5, 7]] = 3
    assert np.array_equal(firsts_of(vectors, by_chance), same)


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.usefixtures("small_blocks")
def test_no_similarity_is_above_its_bound(kind):
    vectors = DATA[kind](1000, 64)
    random = np.random.default_rng(1)
    probes = [*vectors[:20], *unit(random.standard_normal((20, 64)))]
    rows = codes_of(vectors)
    asked = rows.ask(probes)
    products = np.concatenate([rows.products(asked, start) for start in range(0, 1000, 500)], axis=1)
    base, step, slack = (np.array(one)[:, None] for one in (asked.base, asked.unit, asked.slack))
    highest = base + step * products + slack
    sims = np.stack([np.vecdot(vectors, probe) for probe in probes])
    assert (sims <= highest).all()
    assert (highest - sims).max() < 0.12
    near = np.stack([rows.similarities(np.arange(1000), probe) for probe in probes])
    assert np.abs(near - sims).max() <= rows.slack < 4e-4


def test_the_bound_has_room_for_the_sums_of_a_wide_probe():
    dim = 8192
    vectors = unit(np.random.default_rng(6).standard_normal((20, dim)))
    codes, coding = encode(vectors)
    probe = np.full(dim, 0.5 / 63, np.float32)  # all but the first lie half way between two codes
    probe[0] = 1
    (probe,) = unit([probe])
    asked = Codes(codes, coding).ask([probe])
    step = float(probe.max() / np.float32(63))
    left = np.linalg.norm(probe.astype(float) - step * (asked.codes[0].astype(float) - 64))
    assert asked.slack[0] >= (1 + rounding(dim) / 2) * left * coding.length + coding.error + 2 * rounding(dim)
