"""Where networks run: what the configuration wants, what the machine has, and what ONNX Runtime really does.

The runtime names providers that it was built with, not such as work here, and falls back to the CPU without an
error. The truth is the first provider of a session that was made.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facenapi.errors import StartupError
from facenapi.process import onnx_runtime

log = logging.getLogger(__name__)

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_WORKSPACE = 1 << 30  # bytes; TensorRT's scratch memory while it builds an engine


@dataclass(frozen=True, slots=True)
class Device:
    """Where networks run: ``cpu``, ``cuda`` or ``tensorrt``, and the threads of one run.

    ``gpu_memory``: most bytes to take on a GPU, 0 for any. ``cache``: folder of the engines that TensorRT builds.
    """

    kind: str
    threads: int
    gpu_memory: int = 0
    cache: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether networks run on a GPU."""
        return self.kind != "cpu"


class FellBackError(StartupError):
    """The runtime does not run a network where it was told to."""


def choose_device(wanted: str, threads: int, gpu_memory: int = 0, cache: str = "") -> Device:
    """Return the device for ``auto``, ``cpu``, ``cuda`` or ``tensorrt``.

    ``auto`` is CUDA, or the CPU with one log line; never TensorRT, which builds engines for minutes at first.

    Raises:
        StartupError: a GPU is wanted and there is no driver, or no ONNX Runtime at all, or no folder for engines.
    """
    kind = "cuda" if wanted == "auto" else wanted
    cause = None if kind == "cpu" else _obstacle(kind)
    if cause is None:
        if kind == "tensorrt" and cache:
            _make_private(Path(cache))
        return Device(kind, threads, gpu_memory, cache)
    if wanted != "auto":
        raise StartupError(f"device is {wanted}, but {cause}")
    return cpu_instead(threads, cause)


def cpu_instead(threads: int, cause: object) -> Device:
    """Return the CPU for ``auto``, and log why."""
    log.warning("device=auto: running on the CPU, because %s", cause)
    return Device("cpu", threads)


def open_session(model: bytes, device: Device) -> Any:
    """Return an InferenceSession that really runs where ``device`` says.

    Raises:
        FellBackError: it runs elsewhere.
        StartupError: no runtime, or an unusable network.
    """
    runtime = onnx_runtime.load()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.inter_op_num_threads = 1
    # An idle thread that spins burns a core: twice the CPU time for the same work on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(model, options, providers=_providers(device))
    except Exception as error:  # the runtime has a dozen classes of its own without a common base
        if device.on_gpu:
            raise unusable(device, error) from error
        raise StartupError(f"ONNX Runtime refuses a network: {_first_line(error)}") from error
    found = session.get_providers()[0]
    if found != _PROVIDERS[device.kind]:
        advice = "TensorRT's libraries" if device.kind == "tensorrt" else "pip install 'facenapi[cuda]'"
        raise FellBackError(
            f"device is {device.kind}, but ONNX Runtime fell back to {found.removesuffix('ExecutionProvider')}: "
            f"check the driver and {advice}"
        )
    return session


def letting_go() -> Any:
    """Return options for a run after which the runtime gives back what no run needs at the moment."""
    options = onnx_runtime.load().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def unusable(device: Device, error: Exception) -> FellBackError:
    """Return what to raise when a network does not run on a GPU: one line, whatever the libraries have to say."""
    return FellBackError(f"device is {device.kind}, but it does not run the networks: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _providers(device: Device) -> list[Any]:
    """Return what to ask the runtime for, best first, with the settings of each."""
    found: list[Any] = []
    if device.kind == "tensorrt":
        settings: dict[str, Any] = {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": device.cache,
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": device.cache,
            "trt_max_workspace_size": min(_WORKSPACE, device.gpu_memory or _WORKSPACE),
        }
        found.append((_PROVIDERS["tensorrt"], settings))
    if device.on_gpu:
        # TF32 would move the outputs by 1e-3: vectors made on a CPU and on a GPU meet in one index.
        settings = {
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": False,
        }
        if device.gpu_memory:
            settings["gpu_mem_limit"] = device.gpu_memory
        found.append((_PROVIDERS["cuda"], settings))
    return [*found, _PROVIDERS["cpu"]]


def wants_int8(precision: str) -> bool:
    """Tell whether 8-bit networks are to be used for ``auto``, ``fp32`` or ``int8``.

    ``auto`` takes them where the processor multiplies 8-bit numbers without saturating (VNNI, or the dot
    products of Arm): elsewhere they are less exact and hardly faster.
    """
    return has_int8() if precision == "auto" else precision == "int8"


def has_int8() -> bool:
    """Tell whether the processor multiplies 8-bit numbers without saturating."""
    try:
        processor = Path("/proc/cpuinfo").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return not {"avx512_vnni", "avx_vnni", "asimddp"}.isdisjoint(processor.split())


def _make_private(folder: Path) -> None:
    """Make a folder that nobody else may write to: what is in it is executed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StartupError(f"{folder}: the folder for TensorRT's engines cannot be made: {error.strerror}") from error


def _obstacle(kind: str) -> str | None:
    """Return why networks cannot run on this GPU; None, with CUDA's libraries loaded, if they may."""
    runtime = onnx_runtime.load()
    if _PROVIDERS[kind] not in runtime.get_available_providers():
        name = {"cuda": "CUDA", "tensorrt": "TensorRT"}[kind]
        return f"this build of ONNX Runtime has no {name} (the extra facenapi[cuda] has)"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    runtime.preload_dlls()
    return None
