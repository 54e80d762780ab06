"""Parameters: what a raw value means, what is refused, and its JSON schema for the documentation.

Handlers declare :class:`Param` (see ``operation.py``). The general kinds are here, those that belong to
faces in ``kinds.py``. Every refusal is a BAD_PARAM that names the parameter, shows the value and says
what is expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from facenapi import clock
from facenapi.api.patterns import listed, text_schema, whole, words
from facenapi.api.request import Parameters, Texts, Upload
from facenapi.api.values import MOST_ITEMS, MustError, list_of, plain_of, text_of
from facenapi.errors import BadParam, MalformedJson

LARGEST_ID = (1 << 53) - 1
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
        if self.cleared is not None and self.name in parameters.body:
            parameters = Parameters(body=parameters.body)  # nothing says something there, and wins over the query
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
