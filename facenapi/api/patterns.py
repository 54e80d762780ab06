"""Regular expressions of the texts that are taken for numbers, words and lists.

They are used twice, to read parameters and as ``pattern`` in the published schemas, so they keep to what
Python and ECMAScript understand alike: no ``\\d``, no ``\\s``.
"""

from __future__ import annotations

SPACE = " \t\r\n"
_GAP = r"[ \t\r\n]*"

# What stands for nothing where a text may be JSON.
NOTHING = rf"(?:\[{_GAP}\]|null)"
# A finite number of at most 30 digits before and after the point, and a short exponent.
NUMBER = r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,2})?"
# A number from 0 to 1; with an exponent only as programs write small ones: 1e-05.
UNIT = (
    r"\+?(?:0{0,30}1(?:\.0{0,30})?|0{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}"
    r"|[0-9](?:\.[0-9]{0,30})?[eE]-0{0,2}[1-9][0-9]{0,2})"
)
# A pixel coordinate: fewer than a million pixels to either side.
COORDINATE = r"[-+]?(?:[0-9]{1,6}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})"
JSON_COORDINATE = r"-?(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,30})?"
JSON_SIDE = "(?:0|[1-9][0-9]{0,5})"


def whole(low: int, high: int) -> str:
    """Return the pattern of the whole numbers from ``low`` to ``high``, with any sign and leading zeros.

    >>> whole(1, 1000)
    '\\\\+?0{0,20}(?:[1-9]|[1-9][0-9]|[1-9][0-9]{2}|1000)'
    """
    parts = []
    if high >= 0:
        parts.append(rf"\+?0{{0,20}}(?:{_between(max(low, 0), high)})")
    if low < 0:
        parts.append(rf"-0{{0,20}}(?:{_between(max(-high, 0), -low)})")
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _between(low: int, high: int) -> str:
    """Return the pattern of the numbers from ``low`` to ``high``, both at least 0, length by length."""
    found = []
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        last = min(high, 10**length - 1)
        found += _same_length(str(first), str(last))
    return "|".join(found)


def _same_length(low: str, high: str) -> list[str]:
    rest = len(low) - 1
    if rest < 0:
        return [""]
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        digit = low[0] if low[0] == high[0] else f"[{low[0]}-{high[0]}]"
        return [digit + ("" if not rest else "[0-9]" if rest == 1 else f"[0-9]{{{rest}}}")]
    if low[0] == high[0]:
        return [low[0] + tail for tail in _same_length(low[1:], high[1:])]
    middle_low = str(int(low[0]) + 1) + "0" * rest
    middle_high = str(int(high[0]) - 1) + "9" * rest
    return [
        *_same_length(low, low[0] + "9" * rest),
        *(_same_length(middle_low, middle_high) if middle_low <= middle_high else []),
        *_same_length(high[0] + "0" * rest, high),
    ]


def words(*choices: str) -> str:
    """Return the pattern of some words in any case.

    >>> words("on", "1")
    '(?:[oO][nN]|1)'
    """
    return "(?:{})".format("|".join("".join(_letter(letter) for letter in word) for word in choices))


def _letter(letter: str) -> str:
    return f"[{letter}{letter.upper()}]" if letter.isalpha() else letter


def listed(item: str, in_json: str, count: str) -> str:
    """Return the pattern of ``item,item,…`` or its JSON text; ``count`` is a quantifier for all but the first."""
    bare, quoted = (rf"{one}(?:{_GAP},{_GAP}{one}){count}" for one in (item, in_json))
    return rf"(?:{bare}|\[{_GAP}{quoted}{_GAP}\])"


def text_schema(pattern: str) -> dict[str, str]:
    """Return the JSON schema of a text with this pattern, with space around it."""
    return {"type": "string", "pattern": f"^{_GAP}{pattern}{_GAP}$"}
