import os
import subprocess
import sys
import threading

import numpy as np
import onnxruntime
import pytest

from facenapi.detector.build.graph import Graph
from facenapi.detector.engine import Device, Engine, choose_device, open_session
from facenapi.errors import StartupError

CPU = Device("cpu", 1)


@pytest.fixture(scope="module")
def doubler():
    """A network that doubles rows of three numbers."""
    graph = Graph("doubler", ("N", 3))
    graph.op("Mul", "input", graph.weight(np.array(2.0)), output="doubled")
    return graph.finish({"doubled": ("N", 3)})


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


@pytest.mark.parametrize("name", ["rnet", "onet", "embedding", "embedding_int8", "age_gender", "emotions"])
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


def test_the_runtime_keeps_no_record_of_its_use(tmp_path, doubler):
    """Some releases report to their maker unless they are told not to when they are loaded."""
    (tmp_path / "net.onnx").write_bytes(doubler)
    code = (
        "import os, sys; from facenapi.detector.engine import Device, open_session\n"
        "session = open_session(open(sys.argv[1], 'rb').read(), Device('cpu', 1))\n"
        "print(*(os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')), sep='\\n')"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "net.onnx")], check=True, capture_output=True,
                          text=True, env=environment | {"HOME": str(home)})  # fmt: skip
    assert "/dev/" in done.stdout or "pipe:" in done.stdout
    assert "onnxruntime" not in done.stdout
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("left_over", [None, object()])
def test_missing_runtime_names_the_command(monkeypatch, left_over):
    monkeypatch.setitem(sys.modules, "onnxruntime", left_over)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[cpu\]'"):
        choose_device("auto", 1, 0)


def test_broken_network_is_one_line():
    with pytest.raises(StartupError) as caught:
        open_session(b"no network", CPU)
    assert "\n" not in str(caught.value)


class Runtime:
    """An ONNX Runtime that is built for CUDA, on a machine whose sessions end up where ``landed`` says."""

    landed = "CPUExecutionProvider"
    InferenceSession = SessionOptions = None

    def get_available_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self):
        pass


def test_cuda_without_driver_stops_the_start(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", type("R", (Runtime,), {"InferenceSession": object})())
    monkeypatch.setattr("ctypes.CDLL", _no_library)
    with pytest.raises(StartupError, match="no NVIDIA driver"):
        choose_device("cuda", 1, 0)


def test_auto_without_driver_warns_and_takes_the_cpu(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "onnxruntime", type("R", (Runtime,), {"InferenceSession": object})())
    monkeypatch.setattr("ctypes.CDLL", _no_library)
    assert choose_device("auto", 3, 0) == Device("cpu", 3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_cuda_that_lands_on_the_cpu_stops_the_start(monkeypatch, doubler):
    options = onnxruntime.SessionOptions
    cpu = onnxruntime.InferenceSession

    class Fallen(Runtime):
        SessionOptions = staticmethod(options)

        @staticmethod
        def InferenceSession(model, options, providers):  # noqa: N802 - the runtime's own name
            return cpu(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setitem(sys.modules, "onnxruntime", Fallen())
    with pytest.raises(StartupError, match="fell back to the CPU"):
        open_session(doubler, Device("cuda", 1))


def _no_library(name):
    raise OSError(f"{name}: cannot open shared object file")
