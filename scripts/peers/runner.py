"""A peer as child processes: all look at the same photos when they are told to, and say how long it took."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent


class Peer:
    """A context manager. ``command`` is started ``processes`` times; the photos' files follow it."""

    def __init__(self, command: Sequence[str], photos: Sequence[bytes], processes: int = 1) -> None:
        self._command, self._photos, self._count = command, photos, processes
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Peer:
        files = []
        for number, data in enumerate(self._photos):
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            files.append(Path(self._folder.name) / f"{pixels.shape[1]}x{pixels.shape[0]}-{number}.rgb")
            files[-1].write_bytes(pixels.tobytes())
        self._processes = [
            subprocess.Popen(
                [*self._command, *map(str, files)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(self._count)
        ]
        for process in self._processes:
            self._read(process, "ready")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.communicate(timeout=60)
        self._folder.cleanup()

    def rate(self) -> tuple[float, int]:
        """Look at the photos once in each process; return photos per second, and the faces that one of them found."""
        for process in self._processes:
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [json.loads(self._read(process, "{")) for process in self._processes]
        photos = len(self._photos) * self._count
        return photos / max(answer["seconds"] for answer in answers), answers[0]["faces"]

    def _read(self, process: subprocess.Popen[str], beginning: str) -> str:
        for line in process.stdout:
            if line.startswith(beginning):
                return line
        raise RuntimeError(f"{self._command[0]} ended: {process.wait()}")


def mtcnn(python: str, photos: Sequence[bytes]) -> Peer:
    """Return the package ``mtcnn`` in an interpreter that has it; TensorFlow takes all cores by itself."""
    return Peer([python, str(HERE / "mtcnn_tensorflow.py")], photos)


def face_api(folder: str, photos: Sequence[bytes], processes: int) -> Peer:
    """Return @vladmandic/face-api from the node_modules of a folder; one thread each."""
    return Peer(["node", str(HERE / "face_api.js"), folder], photos, processes)
