"""The PyPI package ``mtcnn`` on TensorFlow, which finds faces and does nothing else with them.

    python mtcnn_tensorflow.py PHOTO...

It runs with its own default options: with others (a smallest face of 30 pixels, say) version 1.0.0 finds nothing.
A PHOTO is raw RGB, named WIDTHxHEIGHT-*.rgb. For each line on standard input all photos are looked at once; a line of
JSON on standard output tells the seconds and the number of faces.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from mtcnn import MTCNN


def pixels_of(path: Path) -> np.ndarray:
    """Return (H, W, 3) RGB."""
    width, height = map(int, path.name.split("-")[0].split("x"))
    return np.fromfile(path, np.uint8).reshape(height, width, 3)


def main() -> None:
    """Run from the command line."""
    detector = MTCNN()
    photos = [pixels_of(Path(name)) for name in sys.argv[1:]]
    for pixels in photos:
        detector.detect_faces(pixels)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        faces = sum(len(detector.detect_faces(pixels)) for pixels in photos)
        print(json.dumps({"seconds": time.perf_counter() - start, "faces": faces}), flush=True)


if __name__ == "__main__":
    main()
