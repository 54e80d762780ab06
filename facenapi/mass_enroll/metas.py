"""Where the meta of each photo comes from. Metas are in NFC, as people type, whatever file systems make of names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.mass_enroll.sources import read_file

# Returns the meta of a photo, None if there is none for it.
MetaRule = Callable[[Path], str | None]
# A meta, and where the photo that it belongs to may be.
Row = tuple[str, tuple[Path, ...]]


def clean(text: str) -> str:
    """Return a meta as it is sent: composed, one of blanks only empty, bytes that are no UTF-8 as U+FFFD.

    >>> clean("Zoe\\u0308"), clean("  "), clean("caf\\udce9")
    ('Zoë', '', 'caf\ufffd')
    """
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text) if text.strip() else ""


def constant(text: str) -> MetaRule:
    """The same meta for all."""
    return lambda _: clean(text)


def companion(suffix: str) -> MetaRule:
    """The first line of the text file beside the photo: of sam.jpg and ``.txt`` or ``txt`` that of sam.txt."""
    suffix = suffix if suffix.startswith(".") else f".{suffix}"

    def rule(photo: Path) -> str | None:
        path = photo.with_suffix(suffix)
        try:
            content = read_file(path).decode("utf-8-sig")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StartupError(f"{path} cannot be read as UTF-8 text") from error
        return clean(content.strip().split("\n")[0].strip()) or None

    return rule


def file_name(pattern: str) -> MetaRule:
    """What a regular expression finds in the name without suffix: its group ``meta``, else its first, else all.

    Raises:
        StartupError: it is no regular expression.

    >>> file_name(r"(?P<meta>[^_]+)_[0-9]+")(Path("x/Sam Berry_007.jpg"))
    'Sam Berry'
    """
    try:
        compiled = re.compile(unicodedata.normalize("NFC", pattern))
    except re.error as error:
        raise StartupError(f"{pattern} is no regular expression: {error}") from error

    def rule(photo: Path) -> str | None:
        match = compiled.search(clean(photo.stem))
        if match is None:
            return None
        if "meta" in compiled.groupindex:
            return clean(match["meta"] or "") or None
        return clean((match[1] if compiled.groups else match[0]) or "") or None

    return rule


def listed(rows: Sequence[Row]) -> MetaRule:
    """What a table says; a photo that is not in it has an empty one. Of several places of a row the first wins."""
    found: dict[str, str] = {}
    for position in range(max((len(places) for _, places in rows), default=0)):
        for meta, places in rows:
            found.setdefault(key_of(places[position]), meta)
    return lambda photo: found.get(key_of(photo), "")


def key_of(photo: Path) -> str:
    """Return what a photo is found by in a table, also if the one was written in NFC and the other in NFD."""
    return unicodedata.normalize("NFC", str(photo.resolve()))
