"""The detector, as ratios measured side by side in one run.

* pipeline: photos per second through FaceDetector (queue, threads, batches) beside plain threads that loop over
  the same networks; bound: at least 0.9.
* detect, face: photos per second over HTTP with 1, 4 and 16 clients beside the pipeline with as many photos in work;
  bound: at least 0.85 (bench_api.py has more cases).
* 12 Mpx: time of a 12-megapixel JPEG beside the same picture at 2 megapixels, with faces that the half-size picture
  shows well enough, and with faces that need the whole one; bound: at most 1.6.
* int8: time of the detector's network in 32 bits beside 8 bits, where the pack has both (no bound).
* Peers, from the same decoded pixels; bound: ours at least 3 times as many per second, in one thread per core. A peer
  that is not given is reported as not run.
  face-api: detection, embedding, age, gender and expressions of the npm package with its WASM backend, a process per
  core. --face-api=DIR, made by ``npm install --prefix DIR @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4.22.0
  @tensorflow/tfjs-backend-wasm@4.22.0``.
  mtcnn: detection alone of the PyPI package on TensorFlow, beside our detection with its options, and (no bound)
  beside all that we do. --mtcnn=PYTHON, an interpreter with ``pip install mtcnn==1.0.0 tensorflow-cpu``; ours is in
  --mtcnn-pack=DIR, made by ``facenapi models build --detector=mtcnn --model_pack=DIR``.

    python scripts/bench_detector.py [--device=cpu] [--rounds=5] [--face-api=DIR] [--mtcnn=PYTHON] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import bench_api
import numpy as np
from peers.runner import Peer, face_api, mtcnn

from facenapi.config.options import Config
from facenapi.detector.describe.attributes import describe
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.detector.run.device import Device
from facenapi.detector.run.engine import Engine
from facenapi.photos.photo import Photo
from tests.support import photos
from tests.support.live import PACK, report

EVERYTHING = frozenset({"age", "gender", "emotions"})
CLIENTS = (1, 4, 16)
PEERS = ("face-api", "mtcnn, detection", "mtcnn, detection beside all of ours")
BOUNDS = {
    "pipeline": (">=", 0.9),
    **{f"{case}, {clients} clients": (">=", 0.85) for clients in CLIENTS for case in ("detect", "face")},
    "12 Mpx": ("<=", 1.6),
    "12 Mpx, small faces": ("<=", 1.6),
    **dict.fromkeys(PEERS[:2], (">=", 3.0)),
}
# The package's own defaults.
OF_MTCNN = {
    "nnd_min_face_size": 20,
    "nnd_scale_factor": 0.709,
    "nnd_p_net_thresh": 0.6,
    "nnd_r_net_thresh": 0.7,
    "nnd_o_net_thresh": 0.8,
}


def opened(data: bytes) -> Photo:
    """Decode a photo as the server does."""
    return Photo(data, "photo", 6000, Config().detect_size)


def whole(detector: FaceDetector, photo: Photo) -> int:
    """Detect, embed and describe in this thread; return the number of faces."""
    faces = detector._finder.find(photo)
    if faces:
        detector._embedder.vectors(photo, faces)
        describe(detector._readers, photo, faces, EVERYTHING)
    return len(faces)


def plain_rate(work: Callable[[Any], Any], pictures: Sequence[Any], count: int, threads: int) -> float:
    """Photos per second of plain threads."""
    numbers, lock = iter(range(count)), threading.Lock()

    def loop() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            work(pictures[number % len(pictures)])

    start = time.perf_counter()
    workers = [threading.Thread(target=loop) for _ in range(threads)]
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
            photo = await asyncio.to_thread(opened, data)
            faces = await detector.detect(photo)
            await asyncio.gather(detector.embed(photo, faces), detector.attributes(photo, faces, EVERYTHING))

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return count / (time.perf_counter() - start)


def pipeline_ratio(detector: FaceDetector, rounds: int, count: int) -> float:
    """Median of the ratios of many short rounds."""
    pictures, threads, count = same_photos(), detector._threads, count // 2
    asyncio.run(pipeline_rate(detector, pictures, 6, 4))
    pairs = [(asyncio.run(pipeline_rate(detector, pictures, count, 2 * threads)),
              plain_rate(lambda data: whole(detector, opened(data)), pictures, count, threads))
             for _ in range(2 * rounds)]  # fmt: skip
    return statistics.median(ours / bare for ours, bare in pairs)


def http_ratios(device: str, rounds: int, count: int) -> Iterator[tuple[str, float]]:
    """Yield name and ratio for every number of clients, from many short rounds: other work comes and goes."""
    for clients in CLIENTS:
        photos_a_round = max(count // 4, 2 * clients)
        figures = asyncio.run(bench_api.run(clients, 4 * rounds, photos_a_round, ("detect", "face"), device))
        for case, measured in figures.items():
            yield f"{case}, {clients} clients", measured["ratio"]


def size_ratio(detector: FaceDetector, rounds: int, make: Callable[..., bytes]) -> float:
    """Time of 12 megapixels over time of 2, CPU time, each the least of the rounds."""
    large, small = make(4000, 3000), make(1632, 1224)
    times: dict[bytes, list[float]] = {large: [], small: []}
    for _ in range(rounds):
        for data, spent in times.items():
            start = time.process_time()
            faces = whole(detector, opened(data))
            spent.append(time.process_time() - start)
            assert faces == 2
    return min(times[large]) / min(times[small])


def int8_ratio(rounds: int) -> float | None:
    """Time of the detector's network in 32 bits over its time in 8 bits."""
    pack = load_pack(PACK)
    if "file_int8" not in pack.detector:
        return None
    rows = np.random.default_rng(0).integers(0, 256, (1, 3, 480, 640)).astype(np.float32)
    files = [pack.detector[name] for name in ("file", "file_int8")]
    engines = [Engine(pack.read(file), Device("cpu", 1), max_batch=1, lanes=1) for file in files]
    times: list[list[float]] = [[], []]
    for _ in range(rounds * 4):
        for engine, spent in zip(engines, times, strict=True):
            start = time.process_time()
            engine.run(rows)
            spent.append(time.process_time() - start)
    return min(times[0]) / min(times[1])


def peer_ratio(peer: Peer, work: Callable[[Photo], int], rounds: int, threads: int) -> float:
    """Our most photos per second over the peer's, of rounds in turns; both must find the same number of faces."""
    pictures = [opened(data) for data in same_photos()]
    expected = sum(work(photo) for photo in pictures)
    ours, theirs = [], []
    for _ in range(4 * rounds):
        rate, faces = peer.rate()
        assert faces == expected, f"the peer finds {faces} faces, not {expected}"
        theirs.append(rate)
        ours.append(plain_rate(work, pictures, len(pictures) * threads, threads))
    return max(ours) / max(theirs)


def peer_ratios(
    detector: FaceDetector, rounds: int, node: str, python: str, pack: str
) -> Iterator[tuple[str, float]]:
    """Yield name and ratio for the peers that are there."""
    threads = detector._threads
    if node:
        with face_api(node, same_photos(), threads) as peer:
            yield PEERS[0], peer_ratio(peer, lambda photo: whole(detector, photo), rounds, threads)
    if python:
        alike = FaceDetector(Config(model_pack=pack, device=detector._config.device, **OF_MTCNN))
        asyncio.run(alike.start())
        with mtcnn(python, same_photos()) as peer:
            yield PEERS[1], peer_ratio(peer, lambda photo: len(alike._finder.find(photo)), rounds, threads)
            yield PEERS[2], peer_ratio(peer, lambda photo: whole(detector, photo), rounds, threads)
        asyncio.run(alike.close())


def same_photos() -> list[bytes]:
    """Return what everybody looks at: four faces on three photos."""
    return [photos.astronaut(), photos.grace_hopper(), photos.two_faces()]


def missed(name: str, ratio: float) -> bool:
    """Tell whether a bound is not held."""
    sign, bound = BOUNDS.get(name, (">=", 0.0))
    return ratio < bound if sign == ">=" else ratio > bound


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda", "tensorrt"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--face-api", default="", metavar="DIR")
    parser.add_argument("--mtcnn", default="", metavar="PYTHON")
    parser.add_argument("--mtcnn-pack", default=str(PACK.parent / "mtcnn"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="2 short rounds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rounds, count = (2, 12) if chosen.quick else (chosen.rounds, 60)
    detector = FaceDetector(Config(model_pack=str(PACK), device=chosen.device))
    asyncio.run(detector.start())
    results = {"pipeline": pipeline_ratio(detector, rounds, count)}
    results |= http_ratios(chosen.device, rounds, count)
    results["12 Mpx"] = size_ratio(detector, rounds, photos.large)
    results["12 Mpx, small faces"] = size_ratio(detector, rounds, photos.large_with_small_faces)
    quick = int8_ratio(rounds)
    if quick is not None:
        results["int8"] = quick
    results |= peer_ratios(detector, rounds, chosen.face_api, chosen.mtcnn, chosen.mtcnn_pack)
    provider = detector.info()["provider"]
    asyncio.run(detector.close())
    beyond = [name for name, ratio in results.items() if missed(name, ratio)]
    absent = [name for name in PEERS if name not in results]
    rows = [(name, f"{ratio:6.2f}   {'bound {} {}'.format(*BOUNDS[name]) if name in BOUNDS else ''}")
            for name, ratio in results.items()]  # fmt: skip
    rows += [(name, "not run") for name in absent]
    verdict = f"BOUND MISSED: {', '.join(beyond)}" if beyond else "all bounds held"
    verdict += f"; not run: {', '.join(absent)}" if absent else ""
    report(rows, f"detector on {provider}: {verdict}", results | dict.fromkeys(absent), chosen.json)
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
