"""Parameters that several handlers take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facenapi.api.kinds import BOXES, DEFAULT_THRESHOLD, SELECTOR, THRESHOLD, photo
from facenapi.api.params import BOOLEAN, LARGEST_ID, Param
from facenapi.errors import BadParam, NotFound

if TYPE_CHECKING:
    from facenapi.handlers.server import Server

PHOTO = Param("photo", photo("photo"), "The photo: a file part, or a public http(s) URL", required=True)
BBOX = Param("bbox", BOXES, "Boxes of the faces that are meant: one, or a list")
MF_SELECTOR = Param("mf_selector", SELECTOR, "What to do with several faces", default="biggest")
THRESHOLD_PARAM = Param(
    "threshold", THRESHOLD, "Least confidence: strict, medium, low, none or a number from 0 to 1", DEFAULT_THRESHOLD
)
ATTRIBUTES = (
    Param("gender", BOOLEAN, "Whether to tell the gender", default=False),
    Param("age", BOOLEAN, "Whether to tell the age", default=False),
    Param("emotions", BOOLEAN, "Whether to tell the two strongest emotions", default=False),
)
QUALITY = Param("quality", BOOLEAN, "Whether to tell how well a face can be recognised", default=False)


def wanted_attributes(app: Server, **asked: bool) -> frozenset[str]:
    """Return the attributes that were asked for; BadParam if this server does not offer them."""
    wanted = frozenset(name for name, value in asked.items() if value)
    if wanted and not app.config.gae:
        name = min(wanted)
        raise BadParam(name, True, "Gender, age and emotions are not offered by this server (option gae)")
    return wanted


def path_id(text: str, what: str) -> int:
    """Return a number from a path; NotFound for anything that no id can be."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= LARGEST_ID:
        return int(text)
    raise NotFound(f"There is no {what} {text[:40]}")
