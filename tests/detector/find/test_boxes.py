import numpy as np
import pytest

from facenapi.detector.find.boxes import patches, squares, suppress
from facenapi.detector.find.mtcnn import pack_pixels
from tests.support.effort import daily


def naive_suppress(boxes, scores, overlap, of_smaller):
    boxes = boxes.tolist()
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    for place, i in enumerate(order):
        beaten = False
        for j in order[:place]:
            width = min(boxes[i][2], boxes[j][2]) - max(boxes[i][0], boxes[j][0])
            height = min(boxes[i][3], boxes[j][3]) - max(boxes[i][1], boxes[j][1])
            shared = max(width, 0) * max(height, 0)
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[j])]
            beaten |= shared > overlap * (min(areas) if of_smaller else sum(areas) - shared)
        if not beaten:
            kept.append(i)
    return kept


@pytest.mark.parametrize("of_smaller", [False, True])
@pytest.mark.parametrize("count", daily([1, 2, 257, 256, 600], 3))
def test_suppress_equals_the_definition(count, of_smaller):
    rng = np.random.default_rng(count)
    low = rng.uniform(0, 100, (count, 2))
    boxes = np.hstack([low, low + rng.uniform(5, 30, (count, 2))])
    scores = rng.permutation(count).astype(np.float32)
    kept = suppress(boxes, scores, 0.4, of_smaller=of_smaller)
    assert kept.tolist() == naive_suppress(boxes, scores, 0.4, of_smaller)


def test_suppress_of_nothing():
    assert len(suppress(np.empty((0, 4)), np.empty(0), 0.5)) == 0


def test_squares_keep_the_centre():
    square = squares(np.array([[10.0, 20.0, 30.0, 80.0]]))
    assert square.tolist() == [[-10.0, 20.0, 50.0, 80.0]]


def test_patches_sample_like_tensorflow():
    """Corner samples lie on the box's corners, as fractions of the size, in units of size - 1."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    boxes = np.array([[3.2, 4.1, 20.7, 21.9], [-5.0, 30.0, 12.0, 47.0], [0.0, 0.0, 50.0, 40.0]])
    found = patches(pack_pixels(pixels), boxes, 8)
    for box, patch in zip(boxes, found, strict=True):
        for row in range(8):
            for column in range(8):
                x = (box[0] + (box[2] - box[0]) * column / 7) * 49 / 50
                y = (box[1] + (box[3] - box[1]) * row / 7) * 39 / 40
                if not (0 <= x <= 49 and 0 <= y <= 39):
                    assert np.all(patch[:, row, column] == 127.5)
                    continue
                x0, y0 = min(int(x), 48), min(int(y), 38)
                fx, fy = x - x0, y - y0
                block = pixels[y0 : y0 + 2, x0 : x0 + 2].astype(float)
                weights = np.outer([1 - fy, fy], [1 - fx, fx])[:, :, None]
                assert np.allclose(patch[:, row, column], (block * weights).sum(axis=(0, 1)), atol=1e-3)
