"""Decisions about GPUs, with a runtime that claims to have them: there is none here."""

import asyncio
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from facenapi.config.options import Config
from facenapi.detector.pipeline import FaceDetector
from facenapi.detector.run.device import Device, FellBackError, choose_device, open_session
from facenapi.errors import StartupError
from tests.support import photos

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


class Runtime:
    """ONNX Runtime as built for GPUs; its sessions compute on the CPU and say that they ``landed`` elsewhere."""

    SessionOptions = staticmethod(onnxruntime.SessionOptions)
    RunOptions = staticmethod(onnxruntime.RunOptions)

    def __init__(self, *built_for, landed=CPU):
        self.built_for, self.landed = built_for, landed
        self.asked = []

    def get_available_providers(self):
        return [*self.built_for, CPU]

    def preload_dlls(self):
        pass

    def InferenceSession(self, model, options, providers):  # noqa: N802 - the runtime's own name
        self.asked.append(providers)
        session = onnxruntime.InferenceSession(model, options, providers=[CPU])
        wanted_gpu = providers != [CPU]
        session.get_providers = lambda: [self.landed if wanted_gpu else CPU]
        return session


@pytest.fixture
def install(monkeypatch):
    """Put a runtime in the place of the real one; with or without a driver."""

    def put(runtime, *, driver=True):
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        monkeypatch.setattr("ctypes.CDLL", (lambda _: None) if driver else _no_library)
        return runtime

    return put


def _no_library(name):
    raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize("left_over", [None, object()])
def test_missing_runtime_names_the_command(monkeypatch, left_over):
    monkeypatch.setitem(sys.modules, "onnxruntime", left_over)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[cpu\]'"):
        choose_device("auto", 1)


def test_broken_network_is_one_line():
    with pytest.raises(StartupError) as caught:
        open_session(b"no network", Device("cpu", 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_a_gpu_without_driver_or_without_its_runtime_stops_the_start(install, wanted):
    install(Runtime(TENSORRT, CUDA), driver=False)
    with pytest.raises(StartupError, match=f"device is {wanted}, but there is no NVIDIA driver"):
        choose_device(wanted, 1)
    install(Runtime())
    with pytest.raises(StartupError, match=f"device is {wanted}, but this build of ONNX Runtime has no"):
        choose_device(wanted, 1)


def test_auto_without_driver_warns_and_takes_the_cpu(install, caplog):
    install(Runtime(CUDA), driver=False)
    assert choose_device("auto", 3) == Device("cpu", 3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_auto_takes_cuda_and_never_tensorrt(install):
    install(Runtime(TENSORRT, CUDA))
    assert choose_device("auto", 3, 7) == Device("cuda", 3, 7)


def test_tensorrt_gets_a_private_folder_for_its_engines(install, tmp_path):
    install(Runtime(TENSORRT, CUDA))
    folder = tmp_path / "data" / "tensorrt"
    assert choose_device("tensorrt", 1, 0, str(folder)).cache == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="the folder for TensorRT's engines cannot be made"):
        choose_device("tensorrt", 1, 0, str(tmp_path / "file" / "tensorrt"))


def test_providers_are_asked_for_in_order_with_the_memory_limit_and_the_cache(install, doubler):
    runtime = install(Runtime(landed=TENSORRT))
    open_session(doubler, Device("tensorrt", 1, 512 << 20, "/cache"))
    (first, of_tensorrt), (second, of_cuda), last = runtime.asked[-1]
    assert (first, second, last) == (TENSORRT, CUDA, CPU)
    assert of_tensorrt["trt_engine_cache_path"] == "/cache"
    assert of_tensorrt["trt_max_workspace_size"] == of_cuda["gpu_mem_limit"] == 512 << 20
    runtime.landed = CUDA
    open_session(doubler, Device("cuda", 1))
    [(only, settings), last] = runtime.asked[-1]
    assert (only, last) == (CUDA, CPU)
    assert "gpu_mem_limit" not in settings
    assert settings["use_tf32"] is False
    open_session(doubler, Device("cpu", 1))
    assert runtime.asked[-1] == [CPU]


@pytest.mark.parametrize(("kind", "landed", "word"), [("cuda", CPU, "CPU"), ("tensorrt", CPU, "CPU"),
                                                      ("tensorrt", CUDA, "CUDA")])  # fmt: skip
def test_a_network_that_lands_elsewhere_stops_the_start(install, doubler, kind, landed, word):
    install(Runtime(landed=landed))
    with pytest.raises(FellBackError, match=f"device is {kind}, but ONNX Runtime fell back to {word}"):
        open_session(doubler, Device(kind, 1))


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
async def test_a_detector_that_insists_does_not_start(install, model_pack, tmp_path, device):
    install(Runtime(TENSORRT, CUDA))
    running = FaceDetector(Config(model_pack=str(model_pack), device=device, data_dir=str(tmp_path)))
    with pytest.raises(FellBackError):
        await running.start()
    await running.close()


async def test_a_detector_on_auto_falls_back_when_the_libraries_do_not_work(install, model_pack, caplog):
    runtime = install(Runtime(CUDA))
    running = FaceDetector(Config(model_pack=str(model_pack), device="auto"))
    await running.start()
    assert running.info()["provider"] == CPU
    assert runtime.asked[0][0][0] == CUDA
    assert runtime.asked[-1] == [CPU]
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("device=auto: running on the CPU, because device is cuda, but ONNX Runtime fell back")
    await running.close()


class Refusing(Runtime):
    """Fails on a GPU: when a session is made, or when it is run."""

    def __init__(self, when):
        super().__init__(CUDA, landed=CUDA)
        self.when = when

    def InferenceSession(self, model, options, providers):  # noqa: N802 - the runtime's own name
        if providers == [CPU]:
            return super().InferenceSession(model, options, providers)
        if self.when == "made":
            raise RuntimeError("there is no CUDA-capable device\nand a page of other words")
        session = super().InferenceSession(model, options, providers)
        session.run = self._fail
        return session

    def _fail(self, *_):
        raise RuntimeError("no kernel image is available for execution on the device\nand more")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["made", "run"])
async def test_libraries_that_fail_are_no_traceback(install, model_pack, caplog, when):
    install(Refusing(when))
    insisting = FaceDetector(Config(model_pack=str(model_pack), device="cuda"))
    with pytest.raises(FellBackError, match=r"^device is cuda, but it does not run the networks: [^\n]* device$"):
        await insisting.start()
    await insisting.close()
    running = FaceDetector(Config(model_pack=str(model_pack), device="auto"))
    await running.start()
    assert running.info()["provider"] == CPU
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    await running.close()


def test_the_runtime_keeps_no_record_of_its_use(tmp_path, doubler):
    """Some releases report to their maker unless they are told not to when they are loaded."""
    (tmp_path / "net.onnx").write_bytes(doubler)
    code = (
        "import os, sys; from facenapi.detector.run.device import Device, open_session\n"
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


@pytest.mark.slow
async def test_what_a_gpu_is_given_has_the_answers_of_the_cpu(install, model_pack, make_photo, monkeypatch):
    """All but the GPU: batches and canvases of fixed sizes, computed on the CPU."""
    monkeypatch.setattr("facenapi.detector.load._GPU_SIDES", (256, 512))
    install(Runtime(CUDA, landed=CUDA))
    on_gpu = FaceDetector(Config(model_pack=str(model_pack), device="cuda"))
    on_cpu = FaceDetector(Config(model_pack=str(model_pack), device="cpu", embedding_precision="fp32"))
    for detector in (on_gpu, on_cpu):
        await detector.start()
    assert on_gpu.info()["provider"] == CUDA
    files = [photos.astronaut(), photos.grace_hopper(), photos.two_faces(), photos.no_face()]
    found = [await asyncio.gather(*(detector.detect(make_photo(data)) for data in files * 2))
             for detector in (on_gpu, on_cpu)]  # fmt: skip
    for data, faces, expected in zip(files * 2, *found, strict=True):
        assert len(faces) == len(expected)
        for face, other in zip(faces, expected, strict=True):
            assert face.box.overlap(other.box) > 0.999
            assert np.abs(face.landmarks - other.landmarks).max() < 0.1  # pixels: reduced pictures are padded
        photo = make_photo(data)
        vectors, others = await on_gpu.embed(photo, expected), await on_cpu.embed(photo, expected)
        assert np.allclose(vectors, others, atol=1e-5)
        wanted = frozenset({"gender", "emotions"})
        assert await on_gpu.attributes(photo, expected, wanted) == await on_cpu.attributes(photo, expected, wanted)
    for detector in (on_gpu, on_cpu):
        await detector.close()
