"""One ONNX Runtime session per network, shared by all threads, with natural batching.

Callers block in :meth:`Engine.run`. Whoever finds a free lane takes everything that waits (up to the
batch limit), runs it as one batch and hands each caller its rows; nobody waits for a batch to fill.
Each row of the result is bit-equal to a run on its own (on the CPU; tests hold this).
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.errors import StartupError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Device:
    """Where networks run: ``cpu`` or ``cuda``, the threads of one run and the memory limit on a GPU."""

    kind: str
    threads: int
    gpu_memory: int = 0


@dataclass(slots=True)
class _Request:
    rows: NDArray[np.float32]
    turn: threading.Event = field(default_factory=threading.Event)  # set: lead ``batch``, or it is done
    batch: list[_Request] = field(default_factory=list)
    result: tuple[NDArray[np.float32], ...] = ()
    error: Exception | None = None


class Engine:
    """A network that many threads may ask at once."""

    def __init__(
        self,
        model: bytes,
        device: Device,
        *,
        max_batch: int,
        lanes: int,
        sizes: Sequence[int] = (),
        observe: Callable[[int], None] | None = None,
    ) -> None:
        """Load a network with one input.

        Args:
            model: the ONNX file.
            device: where to run it.
            max_batch: most rows in one run; 1 if the network's file fixes it.
            lanes: most runs at one time.
            sizes: batch sizes that the device likes; a batch is filled up to the next of them.
            observe: is told the rows of every batch, from the thread that runs it.

        Raises:
            StartupError: the runtime is missing or refuses the network or the device.
        """
        self._session = open_session(model, device)
        self._input = self._session.get_inputs()[0].name
        self.input_shape: list[Any] = self._session.get_inputs()[0].shape
        self.outputs: dict[str, list[Any]] = {o.name: o.shape for o in self._session.get_outputs()}
        self.provider: str = self._session.get_providers()[0]
        fixed = isinstance(self.input_shape[0], int)
        self._max_batch, self._sizes = (1 if fixed else max_batch), ([] if fixed else sorted(sizes))
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._free_lanes = lanes
        self._observe = observe

    @property
    def depth(self) -> int:
        """Return how many requests wait."""
        return len(self._waiting)

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Return the network's outputs for (N, …) rows, N >= 1; rows of one call stay in order."""
        if len(rows) > self._max_batch:
            parts = [self.run(rows[i : i + self._max_batch]) for i in range(0, len(rows), self._max_batch)]
            return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
        request = _Request(rows)
        with self._lock:
            self._waiting.append(request)
            if self._free_lanes:
                self._free_lanes -= 1
                self._next_batch()
        request.turn.wait()
        if request.batch:
            self._run_batch(request.batch)
        if request.error is not None:
            raise request.error
        return request.result

    def warm_up(self) -> None:
        """Run once on zeros, so that the first photo does not pay for what the runtime sets up lazily."""
        shape = [1] + [size if isinstance(size, int) else 64 for size in self.input_shape[1:]]
        self.run(np.zeros(shape, np.float32))

    def _next_batch(self) -> None:
        """Give a lane to the first that waits; the lock is held."""
        batch = self._take()
        batch[0].batch = batch
        batch[0].turn.set()

    def _run_batch(self, batch: list[_Request]) -> None:
        try:
            self._compute(batch)
        except Exception as error:  # noqa: BLE001 - each caller of the batch raises it itself
            for request in batch:
                request.error = error
        with self._lock:
            if self._waiting:
                self._next_batch()
            else:
                self._free_lanes += 1
        for request in batch[1:]:
            request.turn.set()

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        rows = 0
        while self._waiting:
            request = self._waiting[0]
            joins = not batch or (
                rows + len(request.rows) <= self._max_batch and request.rows.shape[1:] == batch[0].rows.shape[1:]
            )
            if not joins:
                break
            batch.append(self._waiting.popleft())
            rows += len(request.rows)
        return batch

    def _compute(self, batch: list[_Request]) -> None:
        rows = batch[0].rows if len(batch) == 1 else np.concatenate([request.rows for request in batch])
        count = len(rows)
        if self._observe is not None:
            self._observe(count)
        size = next((size for size in self._sizes if size >= count), count)
        if size > count:
            rows = np.concatenate([rows, np.zeros((size - count, *rows.shape[1:]), rows.dtype)])
        outputs = self._session.run(None, {self._input: rows})
        if len(batch) == 1 and size == count:
            batch[0].result = tuple(outputs)  # as it is: some networks' outputs have no batch axis
            return
        start = 0
        for request in batch:
            end = start + len(request.rows)
            request.result = tuple(output[start:end] for output in outputs)
            start = end


def open_session(model: bytes, device: Device) -> Any:
    """Return an InferenceSession that really runs where ``device`` says.

    Raises:
        StartupError: no runtime, an unusable network, or no such device.
    """
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.inter_op_num_threads = 1
    # An idle thread that spins burns a core: twice the CPU time for the same work on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(model, options, providers=_providers(device))
    except Exception as error:  # the runtime has a dozen classes of its own without a common base
        raise StartupError(f"ONNX Runtime refuses a network: {str(error).splitlines()[0]}") from error
    if device.kind == "cuda" and session.get_providers()[0] == "CPUExecutionProvider":
        raise StartupError(
            "device is cuda, but ONNX Runtime fell back to the CPU: check the driver and pip install 'facenapi[cuda]'"
        )
    return session


def choose_device(wanted: str, threads: int, gpu_memory: int) -> Device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; auto falls back to the CPU with one log line.

    Raises:
        StartupError: ``cuda`` without a driver, or no ONNX Runtime at all.
    """
    runtime = _runtime()
    if wanted == "cpu":
        return Device("cpu", threads)
    cause = None
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        cause = "this build of ONNX Runtime has no CUDA (the extra facenapi[cuda] has)"
    else:
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            cause = "there is no NVIDIA driver (libcuda.so.1)"
    if cause is None:
        runtime.preload_dlls()
        return Device("cuda", threads, gpu_memory)
    if wanted == "cuda":
        raise StartupError(f"device is cuda, but {cause}")
    log.warning("device=auto: running on the CPU, because %s", cause)
    return Device("cpu", threads)


def wants_int8(precision: str) -> bool:
    """Tell whether 8-bit networks are to be used for ``auto``, ``fp32`` or ``int8``.

    ``auto`` takes them where the processor multiplies 8-bit numbers without saturating (VNNI, or the dot
    products of Arm): elsewhere they are less exact and hardly faster.
    """
    if precision != "auto":
        return precision == "int8"
    try:
        processor = Path("/proc/cpuinfo").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return not {"avx512_vnni", "avx_vnni", "asimddp"}.isdisjoint(processor.split())


def _providers(device: Device) -> list[Any]:
    if device.kind == "cpu":
        return ["CPUExecutionProvider"]
    settings: dict[str, Any] = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    if device.gpu_memory:
        settings["gpu_mem_limit"] = device.gpu_memory
    return [("CUDAExecutionProvider", settings), "CPUExecutionProvider"]


def _runtime() -> Any:
    # Read when it is loaded: without this, it reports how it is used to its maker.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime  # noqa: PLC0415 - an extra: its absence is a message, not a traceback
    except ImportError:
        onnxruntime = None
    # Removing one of the two wheels leaves an empty package of that name behind.
    if getattr(onnxruntime, "InferenceSession", None) is None:
        raise StartupError("ONNX Runtime is not installed; run: pip install 'facenapi[cpu]'")
    return onnxruntime
