"""Which faces of a photo a request means: by box, or by ``mf_selector``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facenapi.errors import NoFaces, TooManyFaces
from facenapi.process.stages import stage

if TYPE_CHECKING:
    from facenapi.detector.base import Detection, Detector
    from facenapi.geometry import Box
    from facenapi.photos.photo import Photo


async def faces_in_boxes(detector: Detector, photo: Photo, boxes: Sequence[Box]) -> list[Detection]:
    """Return one face for each box: the detected one of highest overlap, else the one aligned inside.

    Two boxes around one face return it once.
    """
    with stage("detect"):
        detected = await detector.detect(photo)
    chosen: list[Detection] = []
    for box in boxes:
        best = max(detected, key=lambda face: face.box.overlap(box), default=None)
        if best is None or best.box.overlap(box) == 0:
            with stage("detect"):
                best = await detector.locate(photo, box)
        if not any(best is face for face in chosen):
            chosen.append(best)
    return chosen


async def select_faces(
    detector: Detector, photo: Photo, boxes: Sequence[Box] | None, selector: str, param: str
) -> list[Detection]:
    """Return the faces to work on; boxes override the selector.

    Raises:
        NoFaces: nothing was found on the photo of this parameter.
        TooManyFaces: the selector is "reject" and there is more than one.
    """
    if boxes:
        return await faces_in_boxes(detector, photo, boxes)
    with stage("detect"):
        faces = await detector.detect(photo)
    if not faces:
        raise NoFaces(param)
    if selector == "reject" and len(faces) > 1:
        raise TooManyFaces([face.box.as_dict() for face in faces])
    return faces if selector == "all" else faces[:1]
