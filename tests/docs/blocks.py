"""The code in README, guide and the other texts: every literal block of them, by its first line."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [*sorted(ROOT.glob("*.rst")), ROOT / "client" / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
# Hosts that a text may lead to. There is no network in a test: whether they answer is for people to see.
HOSTS = {"semver.org", "127.0.0.1", "static.example.com", "example.com", "facenapi", "host"}
# "text::" or "::" alone, or the directive of a language; then what is indented more than it.
_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<head>\.\. code-block:: *\w*|(?!\.\. ).*::)\n(?: *:\w+:.*\n)*\n"
    r"(?P<code>(?:(?:(?P=indent) +\S.*)?\n)+)",
    re.MULTILINE,
)


class Block(NamedTuple):
    """A block, the text that it is in and, as its name, how it begins."""

    text: str
    begin: str
    code: str


def blocks_of(path: Path) -> list[Block]:
    """Return the literal blocks of a text, in their order."""
    found = _BLOCK.finditer(path.read_text("utf-8") + "\n")
    codes = [textwrap.dedent(one["code"]).strip("\n") + "\n" for one in found]
    name = path.relative_to(ROOT).as_posix()
    return [Block(name, code.splitlines()[0].strip(), code) for code in codes]


def every_block() -> list[Block]:
    """Return the blocks of all texts."""
    return [block for path in TEXTS for block in blocks_of(path)]


def block(text: str, begin: str) -> str:
    """Return the code of the one block of a text that begins so."""
    [code] = [one.code for one in blocks_of(ROOT / text) if one.begin.startswith(begin)]
    return code


def commands(code: str) -> list[str]:
    """Return the lines of a shell block without what is said beside them (after two blanks), and without brackets.

    What stands in brackets may be left out, and is.
    """
    plain = [re.sub(r" \[[^]]*\]", "", re.sub(r"\s{2,}\S.*$", "", line)) for line in code.splitlines()]
    return [line for line in plain if line and not line.startswith("#")]
