"""All levels of a picture on few canvases of fixed size, for devices that want to see the same shapes again.

The proposal network looks at windows of 12 pixels, one every 2 pixels, and at nothing else. So levels that lie edge
to edge, each at an even place, give the cells that they give alone; cells of windows across an edge are left out.

One difference remains. Alone, the last row of a level with an odd height is pooled by itself, because the picture
ends there; on a canvas it is pooled with its own repetition. Only the last row of cells of such a level differs, and
so for columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.engine import Engine

_LOST = 5  # cells that a side of 2n pixels has less than n


@dataclass(frozen=True, slots=True)
class Place:
    """The upper left corner of a level: number of the canvas, and even coordinates on it."""

    canvas: int
    top: int
    left: int


def cells_on_canvases(engine: Engine, levels: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Return the (C, h, w) cells of each (3, H, W) level, largest first, by canvases of the engine's ``sides``.

    A level that is too large for the largest of them is looked at alone.
    """
    alone = [level for level in levels if max(level.shape[1:]) > max(engine.sides)]
    found = [engine.run(level[None])[0][0] for level in alone]
    rest = [_even(level) for level in levels[len(alone) :]]
    return found + (_packed(engine, rest) if rest else [])


def arrange(sizes: Sequence[tuple[int, int]], side: int) -> list[Place]:
    """Return places for rectangles (height, width), even, of falling height and not larger than a canvas.

    >>> arrange([(60, 40), (40, 60), (40, 40)], 100)
    [Place(canvas=0, top=0, left=0), Place(canvas=0, top=0, left=40), Place(canvas=0, top=60, left=0)]
    """
    shelves: list[tuple[int, int, int]] = []  # canvas, top, height
    used: list[int] = []  # width taken on each
    places = []
    for height, width in sizes:
        number = next((i for i, taken in enumerate(used) if taken + width <= side), len(used))
        if number == len(used):
            canvas, top, above = shelves[-1] if shelves else (0, 0, 0)
            fits = top + above + height <= side
            shelves.append((canvas, top + above, height) if fits else (canvas + 1, 0, height))
            used.append(0)
        places.append(Place(shelves[number][0], shelves[number][1], used[number]))
        used[number] += width
    return places


def _packed(engine: Engine, levels: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    sizes = [(level.shape[1], level.shape[2]) for level in levels]
    side, places = _smallest(sizes, engine.sides)
    canvases = np.zeros((_count(places), 3, side, side), np.float32)
    for level, (height, width), at in zip(levels, sizes, places, strict=True):
        canvases[at.canvas, :, at.top : at.top + height, at.left : at.left + width] = level
    cells = engine.run(canvases)[0]
    found = []
    for (height, width), at in zip(sizes, places, strict=True):
        top, left = at.top // 2, at.left // 2
        found.append(cells[at.canvas, :, top : top + height // 2 - _LOST, left : left + width // 2 - _LOST])
    return found


def _smallest(sizes: Sequence[tuple[int, int]], sides: Sequence[int]) -> tuple[int, list[Place]]:
    """Return the smallest side of which one canvas holds everything, else the largest side, and the places."""
    for side in sorted(sides):
        if max(map(max, sizes)) <= side:
            places = arrange(sizes, side)
            if _count(places) == 1:
                break
    return side, places


def _count(places: Sequence[Place]) -> int:
    return 1 + max(place.canvas for place in places)


def _even(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a level with even sides: the last row and column repeated where they are odd."""
    return np.pad(level, ((0, 0), (0, level.shape[1] % 2), (0, level.shape[2] % 2)), mode="edge")
