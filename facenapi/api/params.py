"""Parameters: what a raw value means, what is refused, and its JSON schema for the documentation.

Handlers declare :class:`Param` (see ``operation.py``). The general kinds are here, those that belong to
faces in ``kinds.py``. Every refusal is a BAD_PARAM that names the parameter, shows the value and says
what is expected.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from facenapi import clock
from facenapi.api import jsonio
from facenapi.api.patterns import NUMBER, SPACE, listed, text_schema, whole, words
from facenapi.api.request import TEXT_LIMIT, Parameters, Texts, Upload
from facenapi.errors import BadParam, MalformedJson

LARGEST_ID = (1 << 53) - 1
MOST_ITEMS = 1000  # of a list in a parameter
_SHOWN = 200  # characters of a refused value
_TRUE, _FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a raw value is read.

    ``parse`` raises MustError, a phrase that begins with "must". ``phrase`` says what it is to people.
    ``values`` and ``texts`` are the schemas of what is taken: as a JSON value, and as a text in a JSON
    body, a form or a query. ``form``: what forms and queries take, where that is not both of them.
    ``photo``: whether work for the networks comes with it. ``json``: whether texts may be JSON. ``natural``: the one
    schema that a generated client should know, where that is not the first of all.
    """

    parse: Callable[[Any], Any]
    phrase: str
    values: tuple[Schema, ...] = ()
    texts: tuple[Schema, ...] = ()
    form: tuple[Schema, ...] | None = None
    photo: bool = False
    json: bool = False
    natural: Schema | None = None

    def natural_schema(self, *, form: bool = False) -> Schema:
        """Return the one form that everybody understands; of a photo, in a form, the file."""
        if self.photo and form and self.form:
            return self.form[0]
        return self.natural or (self.values + self.texts)[0]

    def schemas(self, *, form: bool = False) -> list[Schema]:
        """Return the alternatives in a JSON body, or in a form or query."""
        return list(self.form if form and self.form is not None else self.values + self.texts)


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of an operation."""

    name: str
    kind: Kind
    text: str
    default: Any = None
    required: bool = False
    cleared: Any = None  # what an empty value means, where it does not count as absent

    def read(self, parameters: Parameters) -> Any:
        """Return the value; the default if it is absent. Raises BadParam."""
        raw = parameters.raw(self.name, json=self.kind.json)
        if raw is None:
            if self.cleared is not None and parameters.names(self.name):
                return self.cleared
            if self.required:
                empty = ": the file that was sent is empty" if parameters.has_empty_file(self.name) else ""
                raise BadParam(self.name, None, f"{self.name} is required{empty}")
            return self.default
        try:
            return self.kind.parse(raw)
        except (MustError, MalformedJson) as error:
            reason = str(error) if isinstance(error, MustError) else "must be valid JSON"
            raise BadParam(self.name, shown(raw), f"{self.name} {reason}") from error


class MustError(ValueError):
    """A value is refused; the message goes to the client behind the parameter's name."""


def shown(raw: Any) -> Any:
    """Return a refused value as the answer shows it: as it was, or the beginning of it as text if it is long."""
    if isinstance(raw, Upload):
        return "(a file)"
    if isinstance(raw, Texts):
        raw = ",".join(value[:_SHOWN].decode(errors="replace") for value in raw.values[:20])
    if isinstance(raw, str):
        return _writable(raw[:_SHOWN])
    if isinstance(raw, int) and abs(raw) <= LARGEST_ID:  # booleans, too
        return raw
    try:
        text = _writable(json.dumps(raw, ensure_ascii=False))
        return json.loads(text, parse_int=_number, parse_constant=str) if len(text) <= _SHOWN else text[:_SHOWN]
    except (RecursionError, ValueError):
        return "(not shown)"


def _writable(text: str) -> str:
    """Return a text without what UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()


def _number(text: str) -> int | str:
    """Return a whole number, as text if programs would round it."""
    return text if len(text) > 17 or abs(int(text)) > LARGEST_ID else int(text)


# -- reading raw values -------------------------------------------------------------------------


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
    if isinstance(raw, Texts) and len(raw.values) > 1:
        _check_size(sum(map(len, raw.values)))
        return [_item_of(text_of(Texts((value,)))) for value in raw.values if value]
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


# -- kinds ----------------------------------------------------------------------------------------


def text(max_length: int = 4096) -> Kind:
    """Text of at most ``max_length`` characters."""

    def parse(raw: Any) -> str:
        value = text_of(raw)
        if len(value) > max_length:
            raise MustError(f"must be at most {max_length} characters long")
        return value

    schema = {"type": "string", "minLength": 1, "maxLength": max_length, "pattern": r"^[^\x00]*$"}
    return Kind(parse, "text", texts=(schema,))


def integer(low: int, high: int = LARGEST_ID) -> Kind:
    """Return a whole number from ``low`` to ``high``, also as text."""
    digits = re.compile(whole(low, high))

    def parse(raw: Any) -> int:
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            if low <= raw <= high and raw == int(raw):
                return int(raw)
        elif digits.fullmatch(word := plain_of(raw)):
            return int(word)
        raise MustError(f"must be a whole number from {low} to {high}")

    upper = "" if high == LARGEST_ID else f" to {high}"
    return Kind(
        parse,
        f"whole number{f' from {low}' if low or upper else ''}{upper}",
        values=({"type": "integer", "minimum": low, "maximum": high},),
        texts=(text_schema(digits.pattern),),
    )


def choice(*values: str) -> Kind:
    """Return one of some words, in any case."""

    def parse(raw: Any) -> str:
        value = plain_of(raw).lower()
        if value not in values:
            raise MustError("must be one of " + ", ".join(values))
        return value

    return Kind(
        parse, " or ".join(values), texts=({"type": "string", "enum": list(values)}, text_schema(words(*values)))
    )


def _parse_boolean(raw: Any) -> bool:
    if isinstance(raw, int | float) and raw in (0, 1):
        return bool(raw)
    word = "" if isinstance(raw, int | float) else plain_of(raw).lower()
    if word not in _TRUE + _FALSE:
        raise MustError("must be a boolean: 1, yes, true, on or 0, no, false, off")
    return word in _TRUE


def _parse_time(raw: Any) -> int:
    try:
        return clock.from_text(plain_of(raw))
    except ValueError as error:
        raise MustError("must be a time in ISO 8601, such as 2016-06-13T11:06:42.075000") from error


def list_of(raw: Any, most: int = MOST_ITEMS) -> list[Any]:
    """Return a list of at most ``most`` items."""
    value = complex_of(raw)
    if not isinstance(value, list):
        raise MustError("must be a list")
    if len(value) > most:
        raise MustError(f"must have at most {most} items")
    return value


def names(what: str, pattern: str) -> Kind:
    """A list of names."""

    def parse(raw: Any) -> tuple[str, ...]:
        value = list_of(raw)
        if not all(isinstance(item, str) and re.fullmatch(pattern, item) for item in value):
            raise MustError(f"must be a list of {what}")
        return tuple(dict.fromkeys(value))

    array = {"type": "array", "items": {"type": "string", "pattern": f"^{pattern}$"}, "minItems": 1}
    text_list = text_schema(listed(pattern, f'"{pattern}"', f"{{0,{MOST_ITEMS - 1}}}"))
    return Kind(
        parse,
        "list of names, or a,b",
        values=(array | {"maxItems": MOST_ITEMS},),
        texts=(text_list,),
        form=(array, text_list),
        json=True,
    )


BOOLEAN = Kind(
    _parse_boolean,
    "boolean",
    values=({"type": "boolean"}, {"enum": [0, 1]}),
    texts=(text_schema(words(*_TRUE, *_FALSE)),),
)
_ATTRIBUTE = {"$ref": "#/components/schemas/Attribute"}
# What asks for what not every server offers; ATTRIBUTE_SCHEMAS: of one that does, of one that does not.
ATTRIBUTE = replace(BOOLEAN, values=(_ATTRIBUTE,), texts=(), natural=_ATTRIBUTE)
ATTRIBUTE_SCHEMAS: dict[bool, list[Schema]] = {
    True: BOOLEAN.schemas(),
    False: [{"enum": [False, 0]}, text_schema(words(*_FALSE))],
}
TIME = Kind(
    _parse_time,
    "time in ISO 8601, UTC if without zone",
    texts=(
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        text_schema(
            "[0-9]{3}[1-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
            r"(?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
        ),
    ),
)
