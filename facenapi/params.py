"""Parameters: what a raw value means, what is refused, and its JSON schema for the documentation.

Handlers declare :class:`Param` (see ``operation.py``). The general kinds are here, those that belong to
faces in ``kinds.py``. Every refusal is a BAD_PARAM that names the parameter, shows the value and says
what is expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from facenapi import clock, jsonio
from facenapi.errors import BadParam, MalformedJson
from facenapi.request import Parameters, Texts, Upload

LARGEST_ID = (1 << 53) - 1
_TRUE, _FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a raw value is read. ``parse`` raises MustError, a phrase that begins with "must"."""

    parse: Callable[[Any], Any]
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of an operation."""

    name: str
    kind: Kind
    text: str
    default: Any = None
    required: bool = False

    def read(self, parameters: Parameters) -> Any:
        """Return the value; the default if it is absent. Raises BadParam."""
        raw = parameters.raw(self.name)
        if raw is None:
            if self.required:
                raise BadParam(self.name, None, f"{self.name} is required")
            return self.default
        try:
            return self.kind.parse(raw)
        except (MustError, MalformedJson) as error:
            reason = str(error) if isinstance(error, MustError) else "must be valid JSON"
            raise BadParam(self.name, shown(raw), f"{self.name} {reason}") from error


class MustError(ValueError):
    """A value is refused; the message goes to the client behind the parameter's name."""


def shown(raw: Any) -> Any:
    """Return a refused value as the answer shows it: short, and valid JSON whatever it was."""
    if isinstance(raw, Upload):
        return "(a file)"
    if isinstance(raw, Texts):
        raw = ",".join(value[:200].decode(errors="replace") for value in raw.values[:20])
    elif isinstance(raw, bool) or (isinstance(raw, int) and abs(raw) <= LARGEST_ID):
        return raw
    elif not isinstance(raw, str):
        raw = repr(raw)
    return raw[:200].encode(errors="replace").decode()


# -- reading raw values -------------------------------------------------------------------------


def text_of(raw: Any) -> str:
    """Return a text from any source; of repeated values the last."""
    if isinstance(raw, Texts):
        raw = raw.values[-1]
    elif isinstance(raw, Upload):
        raw = raw.data
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        if not isinstance(text, str) or "\0" in text:
            raise MustError("must be text")
        text.encode()
    except UnicodeError as error:
        raise MustError("must be valid UTF-8") from error
    return text


def complex_of(raw: Any) -> Any:
    """Return a value that may be a list or an object: JSON as it is, or JSON text, or a,b, or repeated."""
    if isinstance(raw, Texts) and len(raw.values) > 1:
        return [text_of(Texts((value,))) for value in raw.values if value]
    if not isinstance(raw, Texts | Upload | str):
        return raw
    text = text_of(raw).strip()
    if text[:1] in ("[", "{"):
        return jsonio.loads(text)
    return [part.strip() for part in text.split(",")]


def number_of(raw: Any) -> float | int:
    value = raw if isinstance(raw, int | float) and not isinstance(raw, bool) else None
    if value is None:
        text = text_of(raw).strip()
        if not re.fullmatch(r"[-+]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][-+]?\d{1,3})?", text, re.ASCII):
            raise MustError("must be a number")
        value = int(text) if re.fullmatch(r"[-+]?\d+", text, re.ASCII) else float(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise MustError("must be a finite number")
    return value


# -- kinds ----------------------------------------------------------------------------------------


def text(max_length: int = 4096) -> Kind:
    """Text of at most ``max_length`` characters."""

    def parse(raw: Any) -> str:
        value = text_of(raw)
        if len(value) > max_length:
            raise MustError(f"must be at most {max_length} characters long")
        return value

    return Kind(parse, {"type": "string", "maxLength": max_length})


def integer(low: int, high: int = LARGEST_ID) -> Kind:
    """Return a whole number from ``low`` to ``high``, also as text."""

    def parse(raw: Any) -> int:
        value = number_of(raw)
        if value != int(value) or not low <= value <= high:
            raise MustError(f"must be a whole number from {low} to {high}")
        return int(value)

    return Kind(parse, {"type": "integer", "minimum": low, "maximum": high})


def choice(*values: str) -> Kind:
    """Return one of some words, in any case."""

    def parse(raw: Any) -> str:
        value = text_of(raw).strip().lower()
        if value not in values:
            raise MustError("must be one of " + ", ".join(values))
        return value

    return Kind(parse, {"type": "string", "enum": list(values)})


def _parse_boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw) if isinstance(raw, int) else text_of(raw).strip().lower() if not isinstance(raw, float) else ""
    if word not in _TRUE + _FALSE:
        raise MustError("must be a boolean: 1, yes, true, on or 0, no, false, off")
    return word in _TRUE


def _parse_time(raw: Any) -> int:
    try:
        return clock.from_text(text_of(raw))
    except ValueError as error:
        raise MustError("must be a time in ISO 8601, such as 2016-06-13T11:06:42.075000") from error


def names(what: str, pattern: str, example: str) -> Kind:
    """A list of names."""

    def parse(raw: Any) -> tuple[str, ...]:
        value = complex_of(raw)
        if not isinstance(value, list) or not all(
            isinstance(item, str) and re.fullmatch(pattern, item, re.ASCII) for item in value
        ):
            raise MustError(f"must be a list of {what}")
        return tuple(dict.fromkeys(value))

    return Kind(
        parse, {"type": "array", "items": {"type": "string", "pattern": f"^{pattern}$"}, "example": [example]}
    )


BOOLEAN = Kind(_parse_boolean, {"type": "boolean"})
TIME = Kind(_parse_time, {"type": "string", "format": "date-time", "example": "2016-06-13T11:06:42.075000"})
