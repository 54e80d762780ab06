"""Parameters that several handlers take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from facenapi.api.kinds import BOXES, DEFAULT_THRESHOLD, SELECTOR, THRESHOLD, photo
from facenapi.api.params import ATTRIBUTE, BOOLEAN, LARGEST_ID, Param
from facenapi.errors import BadParam, NotFound
from facenapi.storage.base import DEFAULT_GALLERY

if TYPE_CHECKING:
    from facenapi.geometry import Box
    from facenapi.handlers.server import Server

PHOTO = Param("photo", photo("photo"), "The photo: a file part, or a public http(s) URL", required=True)
BBOX = Param("bbox", BOXES, "Boxes of the faces that are meant: one, or a list")
MF_SELECTOR = Param("mf_selector", SELECTOR, "What to do with several faces", default="biggest")
THRESHOLD_PARAM = Param(
    "threshold", THRESHOLD, "Least confidence: strict, medium, low, none or a number from 0 to 1", DEFAULT_THRESHOLD
)
ATTRIBUTES = (
    Param("gender", ATTRIBUTE, "Whether to tell the gender", default=False),
    Param("age", ATTRIBUTE, "Whether to tell the age", default=False),
    Param("emotions", ATTRIBUTE, "Whether to tell the two strongest emotions", default=False),
)
QUALITY = Param("quality", BOOLEAN, "Whether to tell how well a face can be recognised", default=False)


def wanted_attributes(app: Server, **asked: bool) -> frozenset[str]:
    """Return the attributes that were asked for; BadParam if this server does not offer them."""
    wanted = frozenset(name for name, value in asked.items() if value)
    if wanted and not app.config.gae:
        name = min(wanted)
        raise BadParam(name, True, "Gender, age and emotions are not offered by this server (option gae)")
    return wanted


def check_boxes(app: Server, **named: Sequence[Box] | None) -> None:
    """Refuse more boxes than a photo may have; each is work for the networks. Raises BadParam."""
    most = app.config.max_boxes
    for name, boxes in named.items():
        if boxes is not None and len(boxes) > most:
            raise BadParam(name, len(boxes), f"{name} must have at most {most} boxes")


def face_limit(app: Server, count: int) -> dict[str, int]:
    """Return what an answer says beside all ``count`` faces of a photo, if it may have more."""
    most = app.config.max_faces
    return {"limit": most} if count >= most else {}


def check_galleries(app: Server, names: Iterable[str]) -> None:
    """Refuse more galleries than a face may be in. Raises BadParam."""
    count, most = len({*names} - {DEFAULT_GALLERY}), app.config.max_galleries
    if count > most:
        raise BadParam("galleries", count, f"A face may be in at most {most} galleries beside default")


def path_id(text: str, what: str) -> int:
    """Return a number from a path; NotFound for anything that no id can be."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= LARGEST_ID:
        return int(text)
    raise NotFound(f"There is no {what} {text[:40]}")
