"""Which faces of a photo a request means: by box, or by ``mf_selector``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from facenapi.errors import BadParam, NoFaces, TooManyFaces
from facenapi.geometry import Box
from facenapi.process.stages import stage

if TYPE_CHECKING:
    from facenapi.detector.base import Detection, Detector
    from facenapi.photos.photo import Photo

_SAME_FACE = 0.7  # intersection over union of what was found by two boxes

_FEW = 8  # boxes
_MANY_PAIRS = 1000


def is_many(boxes: Sequence[Box] | None, selector: str = "biggest") -> bool:
    """Whether a request may make much work of one photo."""
    return len(boxes) > _FEW if boxes else selector == "all"


async def faces_in_boxes(
    detector: Detector, photo: Photo, boxes: Sequence[Box], param: str, *, all_needed: bool = True
) -> list[Detection]:
    """Return one face for each box: the detected one of highest overlap, else one that is looked for inside and
    around, else the box itself. Two boxes around one face return it once.

    Raises:
        BadParam: a box shares no pixel with the photo of this parameter.
        NoFaces: there is nothing in a box; unless not ``all_needed``, when it is left out.
    """
    for box in boxes:
        if box.overlap(Box(0, 0, photo.width, photo.height)) == 0:
            raise BadParam(param.replace("photo", "bbox"), box.as_dict(), f"The box {box.as_key()} lies outside the "
                           f"photo, which has {photo.width}x{photo.height} pixels")  # fmt: skip
    with stage("detect"):
        detected = await detector.detect(photo)
    chosen: list[Detection] = []
    # Many boxes on a crowd are tens of thousands of pairs: not for the event loop.
    few = len(boxes) * len(detected) < _MANY_PAIRS
    nearest = _nearest(detected, boxes) if few else await asyncio.to_thread(_nearest, detected, boxes)
    for box, found in zip(boxes, nearest, strict=True):
        best = found
        if best is None:
            with stage("detect"):
                best = await detector.locate(photo, box)
        if best is None:
            if all_needed:
                raise NoFaces(param, f"There is nothing to compare in the box {box.as_key()}: too few pixels, or an "
                              "even surface")  # fmt: skip
        elif all(best is not face and best.box.overlap(face.box) < _SAME_FACE for face in chosen):
            chosen.append(best)
    return chosen


def _nearest(faces: Sequence[Detection], boxes: Sequence[Box]) -> list[Detection | None]:
    """Return the face of highest overlap with each box, None where there is no overlap."""

    def nearest(box: Box) -> Detection | None:
        best = max(faces, key=lambda face: face.box.overlap(box), default=None)
        return None if best is None or best.box.overlap(box) == 0 else best

    return [nearest(box) for box in boxes]


async def select_faces(
    detector: Detector, photo: Photo, boxes: Sequence[Box] | None, selector: str, param: str
) -> list[Detection]:
    """Return the faces to work on; boxes override the selector.

    Raises:
        BadParam: a box lies outside the photo.
        NoFaces: nothing was found on the photo of this parameter, or there is nothing in one of the boxes.
        TooManyFaces: the selector is "reject" and there is more than one.
    """
    if boxes:
        return await faces_in_boxes(detector, photo, boxes, param)
    with stage("detect"):
        faces = await detector.detect(photo)
    if not faces:
        raise NoFaces(param)
    if selector == "reject" and len(faces) > 1:
        raise TooManyFaces([face.box.as_dict() for face in faces])
    return faces if selector == "all" else faces[:1]
