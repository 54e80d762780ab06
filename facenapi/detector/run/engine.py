"""One ONNX Runtime session per network, shared by all threads, with natural batching.

Callers block in :meth:`Engine.run`. Whoever finds a free lane takes everything that waits (up to the
batch limit), runs it as one batch and hands each caller its rows; nobody waits for a batch to fill.
Each row of the result is bit-equal to a run on its own (on the CPU; tests hold this).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.detector.run.device import letting_go, open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.device import Device


_LEAST = (1, 3, 64, 64)  # of the sizes of an input that a network leaves open
_SMALL = 1 << 20  # bytes of input at a time: the memory that this takes is kept


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
        sides: Sequence[int] = (),
    ) -> None:
        """Load a network with one input.

        Args:
            model: the ONNX file.
            device: where to run it.
            max_batch: most rows in one run; 1 if the network's file fixes it.
            lanes: most runs at one time.
            sizes: batch sizes that the device likes; a batch is filled up to the next of them.
            observe: is told the rows of every batch, from the thread that runs it.
            sides: even sides of the square pictures that it likes, for a network that takes any: to be kept
                to by whoever makes the pictures.

        Raises:
            StartupError: the runtime is missing or refuses the network or the device.
        """
        self._session = open_session(model, device)
        self._letting_go = None if device.on_gpu else letting_go()
        self._input = self._session.get_inputs()[0].name
        self.input_shape: list[Any] = self._session.get_inputs()[0].shape
        self.outputs: dict[str, list[Any]] = {o.name: o.shape for o in self._session.get_outputs()}
        self.provider: str = self._session.get_providers()[0]
        fixed = isinstance(self.input_shape[0], int)
        self._max_batch, self._sizes = (1 if fixed else max_batch), ([] if fixed else sorted(sizes))
        self.sides = () if all(isinstance(size, int) for size in self.input_shape[2:]) else tuple(sorted(sides))
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._free_lanes = lanes
        self._observe = observe
        # Bytes of input at a time: now, most since the last look, most since memory was given back.
        self._now = self._peak = self._grown = 0

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
        batch, request.batch = request.batch, []  # which may hold this one: no circle keeps its rows
        if batch:
            self._run_batch(batch)
        if request.error is not None:
            raise request.error
        return request.result

    def warm_up(self) -> None:
        """Run zeros of every shape that will be run, so that no photo pays for what the runtime sets up lazily.

        The smallest and the largest come first: TensorRT builds an engine for all shapes between those it has seen.
        """
        counts = [size for size in self._sizes if size <= self._max_batch] or [1]
        shapes = [
            [count] + [size if isinstance(size, int) else side for size in self.input_shape[1:]]
            for side in self.sides or (64,)
            for count in counts
        ]
        for shape in [shapes[0], shapes[-1], *shapes[1:-1]][: len(shapes)]:
            self.run(np.zeros(shape, np.float32))

    def let_go(self) -> None:
        """Give memory back that the work since the last call did not need; for an occasional call.

        The runtime keeps what its largest runs at a time have taken, until a run says otherwise.
        """
        with self._lock:
            peak, self._peak = self._peak, self._now
            self._grown = max(self._grown, peak)
            if self._letting_go is None or self._grown <= max(_SMALL, 2 * peak):
                return
            self._grown = peak
        shape = [size if isinstance(size, int) else _LEAST[at] for at, size in enumerate(self.input_shape)]
        self._session.run(None, {self._input: np.zeros(shape, np.float32)}, self._letting_go)

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
        with self._lock:
            self._now += rows.nbytes
            self._peak = max(self._peak, self._now)
        try:
            outputs = self._session.run(None, {self._input: rows})
        finally:
            with self._lock:
                self._now -= rows.nbytes
        if len(batch) == 1 and size == count:
            batch[0].result = tuple(outputs)  # as it is: some networks' outputs have no batch axis
            return
        start = 0
        for request in batch:
            end = start + len(request.rows)
            request.result = tuple(output[start:end] for output in outputs)
            start = end
