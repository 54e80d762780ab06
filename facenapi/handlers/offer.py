"""GET /server: what this server offers to whoever has a token."""

from __future__ import annotations

from typing import Any

from facenapi import __version__
from facenapi.api.kinds import DEFAULT_THRESHOLD, THRESHOLDS
from facenapi.api.operation import operation
from facenapi.detector.measure.rates import SCALE
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import CONFIDENCE, INTEGER, TEXT, TRUTH, array, record

_RATE = {"type": "number", "minimum": 0, "maximum": 1, "examples": [0.001]}
_THRESHOLD = record(
    {
        "name": TEXT | {"enum": ["low", "medium", "default", "strict"]},
        "confidence": CONFIDENCE,
        "false_accept_rate": _RATE | {"description": "of comparisons of two different people, how many pass"},
    }
)
_OFFER = record(
    {
        "version": TEXT | {"examples": [__version__]},
        "attributes": TRUTH | {"description": "whether gender, age and emotions are offered"},
        "persons": TRUTH | {"description": "whether new faces are assigned to persons"},
        "photos": TEXT | {"enum": ["off", "files", "webdav"], "description": "whether and where photos are kept"},
        "photo_access": TEXT | {"enum": ["link", "token"], "description": "what kept photos are given for"},
        "max_size": INTEGER | {"description": "longest side of a photo, in pixels"},
        "max_photo_bytes": INTEGER,
        "max_faces": INTEGER | {"description": "most faces of a photo; of more, the largest are taken"},
        "max_boxes": INTEGER | {"description": "most boxes that a request may name on a photo"},
        "max_galleries": INTEGER | {"description": "most galleries that a face may be in, beside default"},
        "max_identify_limit": INTEGER | {"description": "most faces that identify returns; 0: no limit"},
        "thresholds": array(_THRESHOLD),
    }
)


class OfferHandler(ApiHandler):
    """What a client may ask for here."""

    @operation("What this server offers: attributes, kept photos, limits, what thresholds mean", answer=_OFFER)
    async def get(self) -> None:
        """Answer it."""
        config = self.app.config
        self.answer(
            {
                "version": __version__,
                "attributes": config.gae,
                "persons": config.person_identify,
                "photos": config.photo_storage,
                "photo_access": config.photo_access,
                "max_size": config.max_size,
                "max_photo_bytes": config.max_photo_bytes,
                "max_faces": config.max_faces,
                "max_boxes": config.max_boxes,
                "max_galleries": config.max_galleries,
                "max_identify_limit": config.max_identify_limit,
                "thresholds": thresholds(),
            }
        )


def thresholds() -> list[dict[str, Any]]:
    """Return the thresholds that have names and the default, lowest first, with their false accept rates.

    >>> [(one["name"], one["false_accept_rate"]) for one in thresholds()]
    [('low', 0.1), ('medium', 0.001), ('default', 3.5e-05), ('strict', 1e-05)]
    """
    rates = {confidence: rate for rate, confidence in SCALE}
    named = {name: value for name, value in THRESHOLDS.items() if value is not None} | {"default": DEFAULT_THRESHOLD}
    return [
        {"name": name, "confidence": value, "false_accept_rate": rates[value]}
        for name, value in sorted(named.items(), key=lambda item: item[1])
    ]
