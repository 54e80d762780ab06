"""POST /verify."""

from __future__ import annotations

from typing import Any

from facenapi.api.kinds import BOXES, PhotoSource, photo
from facenapi.api.operation import operation
from facenapi.api.params import Param
from facenapi.geometry import Box
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import MF_SELECTOR, THRESHOLD_PARAM, check_boxes
from facenapi.handlers.views import BOX_REF, CONFIDENCE, TRUTH, array, record
from facenapi.services.verify import Pair

_PAIR = record({"bbox1": BOX_REF, "bbox2": BOX_REF, "confidence": CONFIDENCE}, {"verified": TRUTH}, "Pair")


class VerifyHandler(ApiHandler):
    """Compares two photos."""

    reading = ("GET", "HEAD", "POST")

    @operation(
        "Compare the faces of two photos",
        Param("photo1", photo("photo1"), "The first photo: a file part, or a URL", required=True),
        Param("photo2", photo("photo2"), "The second photo: a file part, or a URL", required=True),
        Param("bbox1", BOXES, "Boxes of faces on the first photo; overrides mf_selector"),
        Param("bbox2", BOXES, "Boxes of faces on the second photo; overrides mf_selector"),
        THRESHOLD_PARAM,
        MF_SELECTOR,
        answer=record({"results": array(_PAIR)}, {"verified": TRUTH}),
        errors=("BAD_IMAGE", "NO_FACES", "TOO_MANY_FACES"),
        example={"photo1": "http://static.example.com/sample.jpg", "photo2": "http://static.example.com/sample2.jpg"},
        interruptible=True,
    )
    async def post(
        self,
        *,
        photo1: PhotoSource,
        photo2: PhotoSource,
        bbox1: tuple[Box, ...] | None,
        bbox2: tuple[Box, ...] | None,
        threshold: float | None,
        mf_selector: str,
    ) -> None:
        """Answer every pair, and whether each face of the first photo has a match on the second."""
        check_boxes(self.app, bbox1=bbox1, bbox2=bbox2)
        rows = await self.app.verifier.verify(self.owner, (photo1, photo2), (bbox1, bbox2), mf_selector)
        await self.answer_made(lambda: _view(rows, threshold), sum(map(len, rows)))


def _view(rows: list[list[Pair]], threshold: float | None) -> dict[str, Any]:
    views: list[dict[str, Any]] = [
        {"bbox1": pair.box1.as_dict(), "bbox2": pair.box2.as_dict(), "confidence": pair.confidence}
        for row in rows
        for pair in row
    ]
    if threshold is None:
        return {"results": views}
    for view in views:
        view["verified"] = view["confidence"] >= threshold
    matched = all(any(pair.confidence >= threshold for pair in row) for row in rows)
    return {"results": views, "verified": matched}
