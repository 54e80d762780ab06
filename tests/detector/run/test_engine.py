import re
import threading
from pathlib import Path

import numpy as np
import pytest

from facenapi.detector.run.device import Device
from facenapi.detector.run.engine import Engine

CPU = Device("cpu", 1)


class Session:
    """Stands before a real session: records the sizes of batches and can hold them back."""

    def __init__(self, inner):
        self.inner, self.sizes = inner, []
        self.gate, self.entered = threading.Event(), threading.Event()

    def run(self, names, feed):
        self.sizes.append(len(feed["input"]))
        self.entered.set()
        self.gate.wait(30)
        return self.inner.run(names, feed)


class Watched(Engine):
    """An engine whose session is watched."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._session = Session(self._session)
        self.gate, self.entered, self.sizes_run = self._session.gate, self._session.entered, self._session.sizes


def in_threads(jobs):
    results = [None] * len(jobs)

    def work(i):
        try:
            results[i] = jobs[i]()
        except RuntimeError as error:
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    return threads, results


def wait_for(condition):
    while not condition():
        threading.Event().wait(0.001)


def test_what_waits_becomes_one_batch(doubler):
    observed = []
    engine = Watched(doubler, CPU, max_batch=8, lanes=1, observe=observed.append)
    rows = [np.full((1 + i % 2, 3), i, np.float32) for i in range(5)]
    first, first_result = in_threads([lambda: engine.run(rows[0])])
    engine.entered.wait(30)
    rest, results = in_threads([lambda r=r: engine.run(r) for r in rows[1:]])
    wait_for(lambda: engine.depth == 4)
    engine.gate.set()
    for thread in first + rest:
        thread.join()
    assert engine.sizes_run == observed == [1, 6]
    for row, (result,) in zip(rows, first_result + results, strict=True):
        assert np.array_equal(result, row * 2)


def test_batches_respect_the_limit_and_long_calls_are_cut(doubler):
    engine = Watched(doubler, CPU, max_batch=4, lanes=1)
    engine.gate.set()
    rows = np.arange(30, dtype=np.float32).reshape(10, 3)
    assert np.array_equal(engine.run(rows)[0], rows * 2)
    assert engine.sizes_run == [4, 4, 2]


def test_a_long_call_lets_a_short_one_have_its_turn(doubler):
    engine = Watched(doubler, CPU, max_batch=4, lanes=1)
    ended = []

    def run(rows):
        engine.run(np.zeros((rows, 3), np.float32))
        ended.append(rows)

    long_one, _ = in_threads([lambda: run(400)])
    engine.entered.wait(30)
    short, _ = in_threads([lambda: run(1)])
    wait_for(lambda: engine.depth == 1)
    engine.gate.set()
    for thread in long_one + short:
        thread.join()
    assert ended == [1, 400]
    assert engine.sizes_run[1] == 1


def test_batches_are_filled_up_to_the_sizes_that_the_device_likes(doubler):
    observed = []
    engine = Watched(doubler, CPU, max_batch=16, lanes=1, sizes=(1, 4, 16), observe=observed.append)
    engine.gate.set()
    for count in (1, 3, 5):
        rows = np.ones((count, 3), np.float32)
        assert np.array_equal(engine.run(rows)[0], rows * 2)
    assert engine.sizes_run == [1, 4, 16]
    assert observed == [1, 3, 5]


def test_failure_reaches_every_caller_and_the_engine_goes_on(doubler):
    engine = Watched(doubler, CPU, max_batch=8, lanes=1)
    engine.gate.set()
    good = engine._session

    class Broken:
        def run(self, *_):
            engine.entered.set()
            engine.gate.wait(30)
            raise RuntimeError("out of memory")

    engine._session = Broken()
    engine.gate.clear()
    row = np.ones((1, 3), np.float32)
    threads, results = in_threads([lambda: engine.run(row)])
    engine.entered.wait(30)
    more, more_results = in_threads([lambda: engine.run(row)] * 2)
    wait_for(lambda: engine.depth == 2)
    engine.gate.set()
    for thread in threads + more:
        thread.join()
    assert [str(error) for error in results + more_results] == ["out of memory"] * 3
    engine._session = good
    assert np.array_equal(engine.run(row)[0], row * 2)


def test_many_threads_on_several_lanes(doubler):
    engine = Engine(doubler, CPU, max_batch=5, lanes=2)
    rows = [np.full((1 + i % 7, 3), i, np.float32) for i in range(60)]
    threads, results = in_threads([lambda r=r: engine.run(r)[0] for r in rows])
    for thread in threads:
        thread.join()
    assert all(np.array_equal(result, row * 2) for row, result in zip(rows, results, strict=True))
    assert engine.depth == 0


def test_warming_up_runs_every_shape_once_the_extremes_first(doubler):
    engine = Watched(doubler, CPU, max_batch=8, lanes=1, sizes=(1, 2, 4, 8, 16), sides=(64, 128))
    engine.gate.set()
    engine.warm_up()
    assert engine.sizes_run == [1, 8, 2, 4]
    assert engine.sides == ()  # nothing about its input is square


def test_warming_up_without_sizes_runs_one_row(doubler):
    engine = Watched(doubler, CPU, max_batch=8, lanes=1)
    engine.gate.set()
    engine.warm_up()
    assert engine.sizes_run == [1]


def test_warming_up_tries_every_side_of_a_picture(dlib_pack):
    engine = Engine(
        (dlib_pack / "pnet.onnx").read_bytes(), CPU, max_batch=2, lanes=1, sizes=(1, 2, 4), sides=(40, 20)
    )
    shapes = []
    engine.run = lambda rows: shapes.append(rows.shape)
    engine.warm_up()
    assert shapes == [(1, 3, 20, 20), (2, 3, 40, 40), (2, 3, 20, 20), (1, 3, 40, 40)]


OF_BEFORE = [pytest.param(name, marks=pytest.mark.slow) for name in ("rnet", "embedding", "embedding_int8")]


@pytest.mark.parametrize("name", ["onet", "mobilefacenet", "age_gender", "emotions", *OF_BEFORE])
def test_rows_do_not_depend_on_their_batch(engines, name):
    """Bit-equal alone, in a batch and in any order: the same photo must give the same answer."""
    engine = engines[name]
    shape = [size for size in engine.input_shape if isinstance(size, int)]
    rows = np.random.default_rng(4).uniform(-1, 1, (7, *shape)).astype(np.float32)
    together = engine.run(rows)
    reverse = engine.run(rows[::-1].copy())
    for i in range(7):
        for whole, turned, alone in zip(together, reverse, engine.run(rows[i : i + 1]), strict=True):
            assert np.array_equal(whole[i], alone[0])
            assert np.array_equal(turned[6 - i], alone[0])


@pytest.mark.slow
def test_memory_goes_back_when_there_is_less_work_than_there_was(model_pack):
    engine = Engine((model_pack / "centerface.onnx").read_bytes(), Device("cpu", 2), max_batch=1, lanes=2)
    start = anonymous_memory()
    engine.run(np.zeros((1, 3, 1280, 1280), np.float32))
    grown = anonymous_memory() - start
    assert grown > 100 << 20
    engine.let_go()  # that was just now: it may come again
    assert anonymous_memory() - start > 0.9 * grown
    engine.run(np.zeros((1, 3, 960, 960), np.float32))
    engine.let_go()  # not much less than before
    assert anonymous_memory() - start > 0.9 * grown
    engine.let_go()
    assert anonymous_memory() - start < 0.5 * grown


def anonymous_memory():
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+)", rollup, re.MULTILINE)[1]) << 10
