"""The reference, generated from the tables of the code: options, commands, metrics, errors and methods.

Each is a directive, so that the page around it says in words what the table cannot.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from facenapi import cli
from facenapi.config.options import TABLE
from facenapi.config.reader import allowed
from facenapi.errors import ApiError
from facenapi.handlers.openapi import Offered, document
from facenapi.process.metrics import Metrics
from facenapi.urls import API


def options() -> Iterator[str]:
    """Yield every option with its default, in its sections."""
    section = None
    for option in TABLE.values():
        about = option.metadata
        if about["section"] != section:
            section = about["section"]
            yield from ("", f".. rubric:: {section}", "")
        reload = " Changes on SIGHUP." if about["reload"] else ""
        yield from (
            f"``{option.name}`` = ``{option.default!r}``",
            f"   {_plain(about['help'])}{reload} *{_plain(allowed(option))}*",
            "",
        )


def commands() -> Iterator[str]:
    """Yield what each command says of itself."""
    for name in cli.COMMANDS:
        if name == "serve":
            continue
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            cli.main([name, "--help"])
        yield from ("", f".. rubric:: facenapi {name}", "", ".. code-block:: none", "")
        yield from (f"   {line}" for line in said.getvalue().splitlines())


def metrics() -> Iterator[str]:
    """Yield the figures that are counted, with type, meaning and labels."""
    yield from _table("Name", "Type", "Meaning")
    for line in Metrics(list).text().decode().splitlines():
        if line.startswith("# HELP "):
            _, _, name, meaning = line.split(" ", 3)
        elif line.startswith("# TYPE ") and not name.endswith("_created"):
            yield from _row(f"``{name}``", line.rsplit(" ", 1)[1], meaning)


def errors() -> Iterator[str]:
    """Yield the errors of the contract: status, code, meaning."""
    yield from _table("Status", "Code", "When")
    kinds = sorted(_family(ApiError), key=lambda kind: (kind.status, kind.code))
    for kind in kinds:
        yield from _row(str(kind.status), f"``{kind.code}``", (kind.__doc__ or "").splitlines()[0])


def methods() -> Iterator[str]:
    """Yield the methods of the API, version 1, with their parameters."""
    for path, operations in document("v1", tuple(API), Offered())["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            yield from ("", f".. rubric:: {method.upper()} {path}", "", operation.get("summary", ""), "")
            for parameter in operation.get("parameters", []):
                yield f"* ``{parameter['name']}``: {parameter.get('description', '')}"


def _plain(text: str) -> str:
    """Return a text of which nothing is markup, and no address a link: they are examples."""
    return re.sub(r"([\\*_`|]|:(?=//))", r"\\\1", text)


def _family(kind: type[ApiError]) -> Iterator[type[ApiError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def _table(*heads: str) -> Iterator[str]:
    yield from ("", ".. list-table::", "   :header-rows: 1", "")
    yield from _row(*heads)


def _row(*cells: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield f"   {'*' if number == 0 else ' '} - {cell}"


def _directive(lines: Callable[[], Iterator[str]]) -> type[Directive]:
    class Generated(Directive):
        """Parses what a generator yields as reStructuredText."""

        def run(self) -> list[nodes.Node]:
            node = nodes.container()
            self.state.nested_parse(StringList(list(lines()), source=lines.__name__), self.content_offset, node)
            return node.children

    return Generated


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for lines in (options, commands, metrics, errors, methods):
        app.add_directive(f"facenapi-{lines.__name__}", _directive(lines))
    return {"parallel_read_safe": True}
