"""Raw values, as they came in: a text, a list, an object or a number, whatever way they were sent."""

from __future__ import annotations

import math
import re
from typing import Any

from facenapi.api import jsonio
from facenapi.api.patterns import NUMBER, SPACE
from facenapi.api.request import TEXT_LIMIT, Texts, Upload

MOST_ITEMS = 1000  # of a list in a parameter


class MustError(ValueError):
    """A value is refused; the message goes to the client behind the parameter's name."""


def text_of(raw: Any) -> str:
    """Return a text from any source; of repeated values the last that is not empty."""
    if isinstance(raw, Texts):
        raw = raw.last
    elif isinstance(raw, Upload):
        raw = raw.data
    if isinstance(raw, bytes):
        _check_size(len(raw))
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        if not isinstance(text, str) or "\0" in text:
            raise MustError("must be text")
        text.encode()
    except UnicodeError as error:
        raise MustError("must be valid UTF-8") from error
    return text


def _check_size(size: int) -> None:
    """Refuse more text in parts of a form than a body of text may have: reading it blocks the loop."""
    if size > TEXT_LIMIT:
        raise MustError(f"must be at most {TEXT_LIMIT} bytes long")


def word_of(raw: Any) -> str:
    """Return a text without the space around it."""
    return text_of(raw).strip(SPACE)


def plain_of(raw: Any) -> str:
    """Return the same; of what is no text a text that nothing takes, so that its kind says what it must be."""
    try:
        return word_of(raw)
    except MustError:
        return "\0"


def complex_of(raw: Any) -> Any:
    """Return a value that may be a list or an object: JSON as it is, or JSON text, or a,b, or repeated."""
    if isinstance(raw, Texts):
        raw = Texts(tuple(value for value in raw.values if value))
        if len(raw.values) > 1:
            _check_size(sum(map(len, raw.values)))
            return [_item_of(text_of(Texts((value,)))) for value in raw.values]
    if not isinstance(raw, Texts | Upload | str):
        return raw
    text = word_of(raw)
    if text[:1] in ("[", "{"):
        return jsonio.loads(text)
    return [part.strip(SPACE) for part in text.split(",", MOST_ITEMS)]  # one more than any list may have


def _item_of(text: str) -> Any:
    """Return one of several texts under a name: JSON, if it is a list or an object."""
    return jsonio.loads(text) if text.strip(SPACE)[:1] in ("[", "{") else text


def number_of(raw: Any) -> float | int:
    """Return a number that any arithmetic can bear, also from text."""
    value = raw if isinstance(raw, int | float) and not isinstance(raw, bool) else None
    if value is None:
        text = plain_of(raw)
        if not re.fullmatch(NUMBER, text):
            raise MustError("must be a number")
        value = int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text)
    if isinstance(value, int) and value.bit_length() > 512:
        raise MustError("must be a number of a sensible size")
    if not math.isfinite(value):
        raise MustError("must be a finite number")
    return value


def list_of(raw: Any, most: int = MOST_ITEMS) -> list[Any]:
    """Return a list of at most ``most`` items."""
    value = complex_of(raw)
    if not isinstance(value, list):
        raise MustError("must be a list")
    if len(value) > most:
        raise MustError(f"must have at most {most} items")
    return value
