"""The table of options as text: the help of the command line, and the commented sample of conf/."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import Field
from itertools import groupby
from typing import Any

from facenapi.config.options import TABLE
from facenapi.config.reader import allowed


def _sections() -> Iterator[tuple[str, list[Field[Any]]]]:
    for section, fields in groupby(TABLE.values(), key=lambda field: field.metadata["section"]):
        yield section, list(fields)


def _describe(field: Field[Any]) -> str:
    reload = " Changes on SIGHUP." if field.metadata["reload"] else ""
    return f"{field.metadata['help']}{reload} ({allowed(field)})"


def help_text() -> str:
    """Return every option with its default, for the terminal."""
    lines = []
    for section, fields in _sections():
        lines += ["", f"{section}:"]
        for field in fields:
            lines.append(f"  --{field.name}={field.default}")
            lines += textwrap.wrap(_describe(field), 90, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines[1:])


def sample_file() -> str:
    """Return conf/findface-facenapi.ini: every option, commented out, with its default."""
    lines = [
        "# Configuration of facenapi, /etc/findface-facenapi.ini.",
        "# Every option is here with its default; take the # away to change one.",
        "# Values: text, 'quoted text', True or False, numbers, products such as (3600*24*7).",
        "# The same options work in the environment (FACENAPI_OPTION=value, or FACENAPI_OPTION_FILE=path of a file",
        "# with the value) and on the command line (--option=value). The environment wins over this file, the",
        "# command line over both.",
    ]
    for section, fields in _sections():
        lines += ["", f"[{section.lower()}]"]
        for field in fields:
            lines.append("")
            lines += textwrap.wrap(_describe(field), 100, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"#{field.name} = {field.default!r}")
    return "\n".join(lines) + "\n"
