"""POST /identify and /faces/gallery/G/identify."""

from __future__ import annotations

from typing import Any

from facenapi.api.kinds import COORDINATE_KIND, PhotoSource, parse_boxes
from facenapi.api.operation import operation
from facenapi.api.params import BOOLEAN, Param, integer
from facenapi.api.values import MustError
from facenapi.errors import BadParam
from facenapi.geometry import Box
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import BBOX, MF_SELECTOR, PHOTO, THRESHOLD_PARAM, check_boxes
from facenapi.handlers.views import CONFIDENCE, FACE_REF, INTEGER, array, record
from facenapi.services.identify import MOST, Identified, Search
from facenapi.storage.base import DEFAULT_GALLERY

_MATCH = record({"confidence": CONFIDENCE, "face": FACE_REF}, title="Match")
_KEY = {
    "type": "string",
    "pattern": r"^\[-?[0-9]+(, -?[0-9]+){3}\]$",
    "description": "the face's box on the photo: [x1, y1, x2, y2]",
    "examples": ["[236, 345, 311, 419]"],
}
_REACHED = INTEGER | {
    "description": "there when more matches were asked for than this server gives, and a face has so many",
    "examples": [MOST],
}
_CORNERS = tuple(
    Param(name, COORDINATE_KIND, f"{name} of the face's box, as an alternative to bbox")
    for name in ("x1", "y1", "x2", "y2")
)


class IdentifyHandler(ApiHandler):
    """Searches the owner's faces."""

    reading = ("GET", "HEAD", "POST")

    @operation(
        "Find the stored faces that are most similar",
        PHOTO,
        BBOX,
        *_CORNERS,
        THRESHOLD_PARAM,
        Param(
            "n",
            integer(0),
            f"Most faces to return for each face on the photo; 0: as many as allowed, {MOST} in all",
            default=1,
        ),
        MF_SELECTOR,
        Param("strict", BOOLEAN, "Whether a dead search shard is an error, instead of a partial answer"),
        answer=record(
            {"results": {"type": "object", "propertyNames": _KEY, "additionalProperties": array(_MATCH)}},
            {"limit": _REACHED},
        ),
        errors=("BAD_IMAGE", "NO_FACES", "TOO_MANY_FACES", "NOT_FOUND"),
        example={"photo": "http://static.example.com/sample.jpg", "n": 10},
        headers={"X-Live-Servers": "Search shards that took part, and all of them: LIVE/TOTAL"},
        interruptible=True,
    )
    async def post(
        self,
        *,
        photo: PhotoSource,
        bbox: tuple[Box, ...] | None,
        x1: float | None,
        y1: float | None,
        x2: float | None,
        y2: float | None,
        threshold: float | None,
        n: int,
        mf_selector: str,
        strict: bool | None,
        gallery: str = DEFAULT_GALLERY,
    ) -> None:
        """Answer the matches of each selected face, best first."""
        if gallery != DEFAULT_GALLERY:
            await self.app.galleries.require(self.owner, gallery)
        boxes = bbox or _box_of_corners(x1, y1, x2, y2)
        check_boxes(self.app, bbox=boxes)
        search = Search(self.owner, gallery, threshold, n, strict)
        found = await self.app.identifier.identify(photo, boxes, mf_selector, search)
        self.say_live(found.live, found.total)
        await self.answer_made(lambda: self._view(found), sum(map(len, found.matches.values())))

    def finish(self, chunk: Any = None) -> Any:
        """End the answer; a refusal, too, says how many shards live, as far as is known."""
        if self.owner and "X-Live-Servers" not in self._headers:
            shards = self.app.searcher.shards
            self.say_live(sum(shard.ready for shard in shards), len(shards))
        return super().finish(chunk)

    def _view(self, found: Identified) -> dict[str, Any]:
        results = {
            key: [{"confidence": confidence, "face": self.face_view(face)} for confidence, face in matches]
            for key, matches in found.matches.items()
        }
        return {"results": results} | ({"limit": found.limit} if found.limit else {})


def _box_of_corners(*corners: float | None) -> tuple[Box, ...] | None:
    """Return the box of four separate fields, None if there are none; BadParam if some are missing."""
    named = dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
    if all(value is None for value in named.values()):
        return None
    for name, value in named.items():
        if value is None:
            raise BadParam(name, None, f"{name} is required with the other three corners")
    try:
        return parse_boxes(named)
    except MustError as error:
        raise BadParam("x1", named["x1"], f"x1, y1, x2 and y2 {error}") from error
