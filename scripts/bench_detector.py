"""The detector without HTTP, as ratios measured side by side in one run.

* pipeline: photos per second through FaceDetector (queue, threads, batches) beside plain threads that loop over
  the same networks; bound: at least 0.9.
* 12 Mpx: time of a 12-megapixel JPEG beside the same picture at 2 megapixels; bound: at most 1.6.
* int8: time of the embedding network in 32 bits beside 8 bits, where the pack has both (no bound).
* mtcnn: with --peer-python=PATH, an interpreter that has ``mtcnn`` and TensorFlow: its detection time beside
  ours, on the same photos with the same sizes and thresholds; bound: at least 3.

HTTP beside the bare loop is measured by bench_api.py.

    python scripts/bench_detector.py [--device=cpu] [--rounds=5] [--peer-python=PATH] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from facenapi.detector.attributes import describe
from facenapi.detector.device import Device
from facenapi.detector.engine import Engine
from facenapi.detector.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.options import Config
from facenapi.photo import Photo
from tests.support import photos
from tests.support.live import PACK, report

EVERYTHING = frozenset({"age", "gender", "emotions"})
BOUNDS = {"pipeline": (">=", 0.9), "12 Mpx": ("<=", 1.6), "mtcnn": (">=", 3.0)}
PEER = """
import json, sys, time
import numpy as np
from mtcnn import MTCNN
detector, pictures = MTCNN(), [np.load(path) for path in sys.argv[2:]]
find = lambda p: detector.detect_faces(p, min_face_size=30, scale_factor=0.79, threshold_pnet=0.5,
                                       threshold_rnet=0.5, threshold_onet=0.9)
[find(p) for p in pictures]
times = []
for _ in range(int(sys.argv[1])):
    start = time.perf_counter()
    [find(p) for p in pictures]
    times.append(time.perf_counter() - start)
print(json.dumps(times))
"""


def whole(detector: FaceDetector, data: bytes) -> None:
    """Decode, detect, embed and describe in this thread."""
    photo = Photo(data, "photo", 6000, detector._config.detect_size)
    faces = detector._finder.find(photo)
    if faces:
        detector._embedder.vectors(photo, faces)
        describe(detector._readers, photo, faces, EVERYTHING)


def plain_rate(detector: FaceDetector, pictures: list[bytes], count: int, threads: int) -> float:
    """Photos per second of plain threads."""
    numbers, lock = iter(range(count)), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            whole(detector, pictures[number % len(pictures)])

    start = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - start)


async def pipeline_rate(detector: FaceDetector, pictures: list[bytes], count: int, clients: int) -> float:
    """Photos per second through the asynchronous methods."""
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            data = pictures[number % len(pictures)]
            photo = await asyncio.to_thread(Photo, data, "photo", 6000, detector._config.detect_size)
            faces = await detector.detect(photo)
            await asyncio.gather(detector.embed(photo, faces), detector.attributes(photo, faces, EVERYTHING))

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return count / (time.perf_counter() - start)


def pipeline_ratio(detector: FaceDetector, rounds: int, count: int) -> float:
    """Median of the rounds' ratios."""
    pictures = [photos.astronaut(), photos.grace_hopper(), photos.two_faces()]
    asyncio.run(pipeline_rate(detector, pictures, 6, 4))
    pairs = [(asyncio.run(pipeline_rate(detector, pictures, count, 2 * detector._threads)),
              plain_rate(detector, pictures, count, detector._threads)) for _ in range(rounds)]  # fmt: skip
    return statistics.median(ours / bare for ours, bare in pairs)


def size_ratio(detector: FaceDetector, rounds: int) -> float:
    """Time of 12 megapixels over time of 2, CPU time, each the least of the rounds."""
    large, small = photos.large(4000, 3000), photos.large(1632, 1224)
    times: dict[bytes, list[float]] = {large: [], small: []}
    for _ in range(rounds):
        for data, spent in times.items():
            start = time.process_time()
            whole(detector, data)
            spent.append(time.process_time() - start)
    return min(times[large]) / min(times[small])


def int8_ratio(rounds: int) -> float | None:
    """Time in 32 bits over time in 8 bits."""
    pack = load_pack(PACK)
    part = pack.embedder.parts[0]
    if part.file_int8 is None:
        return None
    rows = np.random.default_rng(0).integers(0, 256, (2, 3, part.input.size, part.input.size)).astype(np.float32)
    engines = [
        Engine(pack.read(file), Device("cpu", 1), max_batch=8, lanes=1) for file in (part.file, part.file_int8)
    ]
    times: list[list[float]] = [[], []]
    for _ in range(rounds * 4):
        for engine, spent in zip(engines, times, strict=True):
            start = time.process_time()
            engine.run(rows)
            spent.append(time.process_time() - start)
    return min(times[0]) / min(times[1])


def peer_ratio(detector: FaceDetector, python: str, rounds: int) -> float:
    """Time of the mtcnn package over ours, for detection of the same pixels."""
    opened = [Photo(data, "photo", 6000, 1280) for data in (photos.astronaut(), photos.grace_hopper())]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.npy") for i in range(len(opened))]
        for path, photo in zip(paths, opened, strict=True):
            np.save(path, photo.reduced.pixels)
        output = subprocess.run([python, "-c", PEER, str(rounds), *paths], capture_output=True, check=True, text=True)
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for photo in opened:
            detector._finder.find(photo)
        times.append(time.perf_counter() - start)
    return statistics.median(json.loads(output.stdout.splitlines()[-1])) / statistics.median(times[1:])


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda", "tensorrt"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--quick", action="store_true", help="2 short rounds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rounds, count = (2, 12) if chosen.quick else (chosen.rounds, 60)
    detector = FaceDetector(Config(model_pack=str(PACK), device=chosen.device))
    asyncio.run(detector.start())
    results = {"pipeline": pipeline_ratio(detector, rounds, count), "12 Mpx": size_ratio(detector, rounds)}
    quick = int8_ratio(rounds)
    if quick is not None:
        results["int8"] = quick
    if chosen.peer_python:
        results["mtcnn"] = peer_ratio(detector, chosen.peer_python, rounds)
    asyncio.run(detector.close())
    missed = [name for name, (sign, bound) in BOUNDS.items()
              if name in results and (results[name] < bound if sign == ">=" else results[name] > bound)]  # fmt: skip
    rows = [(name, f"{ratio:6.2f}   {'bound {} {}'.format(*BOUNDS[name]) if name in BOUNDS else ''}")
            for name, ratio in results.items()]  # fmt: skip
    verdict = f"BOUND MISSED: {', '.join(missed)}" if missed else "all bounds held"
    report(rows, f"detector: {verdict}", results, chosen.json)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
