"""The documentation of a version as one HTML page: no script, no font, nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from facenapi import __version__
from facenapi.api.operation import Operation
from facenapi.handlers.docs_client import client
from facenapi.handlers.docs_examples import curl, curl_files, path_value, sample
from facenapi.handlers.openapi import INTRODUCTION, VERSIONS, Offered, Table, operations, tag_of
from facenapi.handlers.refusals import MEANINGS

Json = dict[str, Any]


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2, h3[id] { border-top: 1px solid #ddd; padding-top: 1.2rem; } h2 { font-size: 1.4rem; } h3 { font-size: 1.1rem; }
h3 code { background: none; padding: 0; overflow-wrap: anywhere; } div { overflow-x: auto; }
@media (max-width: 30rem) { body { font-size: 15px; margin: 1rem auto; padding: 0 .6rem; } td { font-size: .9rem; } }
pre, code { font: 14px/1.45 ui-monospace, monospace; background: #f4f5f7; border-radius: 4px; }
pre { padding: .8rem; overflow-x: auto; } code { padding: .1rem .3rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0;
vertical-align: top; border-bottom: 1px solid #eee; } nav a { display: block; } .method { font-weight: 700; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #ddd; } pre, code { background: #24272d; }
h2, h3[id], td, th { border-color: #333; } a { color: #8ab4f8; } }
"""


def versions_page(base: str) -> str:
    """Return the page that leads to the versions; ``base`` is the path of the documentation."""
    links = "".join(
        f'<a href="{escape(base)}/{name}">Version {name[1:]}</a>'
        f'<a href="{escape(base)}/{name}/openapi.json">Version {name[1:]} as OpenAPI</a>'
        for name in VERSIONS
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>facenapi</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style>'
        f"<h1>facenapi {escape(__version__)}</h1><p>A face recognition server.</p><nav>{links}</nav></html>"
    )


def page(version: str, table: Table, base: str, offered: Offered) -> str:
    """Return the page; ``base`` is where the examples go, http://host:port."""
    groups: dict[str, list[tuple[str, str, Operation]]] = {}
    for path, method, declared in operations(version, table, offered):
        groups.setdefault(tag_of(path), []).append((path, method, declared))
    links, sections = "", ""
    for name, found in groups.items():
        links += f"<h3>{name.capitalize()}</h3>" + "".join(
            f'<a href="#{method}{escape(path)}">{method.upper()} {escape(path)}</a>' for path, method, _ in found
        )
        sections += f"<h2>{name.capitalize()}</h2>"
        sections += "".join(_section(path, method, declared, base, version) for path, method, declared in found)
    title = escape(f"facenapi {version}")
    document_url = escape(f"{base}/docs/{version}/openapi.json")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style><h1>{title}</h1>'
        f"<p>Release {escape(__version__)}. {escape(INTRODUCTION)}</p>"
        "<p>Every request needs the header <code>Authorization: Token KEY</code>. The same as OpenAPI 3.1: "
        f'<a href="{document_url}">all that is understood</a>, '
        f'<a href="{document_url}?strict=1">one type for each parameter</a>, for generators of clients.</p>'
        f'<nav>{links}<h3>Errors</h3><a href="#errors">All codes</a></nav>{sections}{_errors()}</html>'
    )


def _errors() -> str:
    rows = "".join(f"<tr><td><code>{code}</code><td>{escape(text)}" for code, text in MEANINGS.items())
    return (
        '<h2 id="errors">Errors</h2><p>An error is JSON with <code>code</code> for programs and '
        f"<code>reason</code> for people.</p><div><table><tr><th>Code<th>Meaning{rows}</table></div>"
    )


def _section(path: str, method: str, declared: Operation, base: str, version: str) -> str:
    name = f'<span class="method">{method.upper()}</span> {escape(path)}'
    parts = [f'<h3 id="{method}{escape(path)}"><code>{name}</code></h3><p>{escape(declared.summary)}.</p>']
    if declared.params:
        rows = "".join(
            f"<tr><td><code>{param.name}</code><td>{escape(param.text)}<td>{escape(param.kind.phrase)}"
            f"<td>{'required' if param.required else escape(_default(param.default))}"
            for param in declared.params
        )
        parts.append(f"<div><table><tr><th>Parameter<th>Meaning<th>Form<th>Default{rows}</table></div>")
    url = f"{base}/{version}" + re.sub(r"\{(\w+)\}", lambda match: path_value(match[1]), path)
    texts = [curl(method, url, declared)]
    if declared.takes_photos:
        texts.append(curl_files(method, url, declared))
    if version == "v1":  # which the client speaks
        ways = (False, True) if declared.takes_photos else (True,)
        texts += [client(method, path, declared, base, files=files) for files in ways]
    parts += [f"<pre>{escape(text)}</pre>" for text in texts]
    errors = ", ".join(f"<code>{code}</code>" for code in ("BAD_PARAM", *declared.errors))
    parts.append(f'<p>Answer {declared.status}; <a href="#errors">errors</a>: {errors}</p>')
    if declared.answer is not None:
        asked = {name for name, value in declared.example.items() if value}
        fields = "".join(
            f"<tr><td><code>{escape(field)}</code><td>{escape(kind)}<td>{escape(text)}"
            for field, kind, text in answer_fields(declared.answer)
        )
        parts.append(f"<div><table><tr><th>Field of the answer<th>Type<th>Meaning{fields}</table></div>")
        answer = sample(declared.answer, asked)
        parts.append(f"<pre>{escape(json.dumps(answer, indent=2, sort_keys=True, ensure_ascii=False))}</pre>")
    return "".join(parts)


def answer_fields(schema: Json, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of the fields of an answer; of a face only that it is one."""
    if "$ref" in schema:
        yield place or "answer", schema["$ref"].rpartition("/")[2].lower(), schema.get("description", "")
    elif "oneOf" in schema:
        yield from answer_fields(schema["oneOf"][0], place)
    elif schema.get("type") == "array":
        yield from answer_fields(schema["items"], f"{place}[]")
    elif schema.get("type") == "object":
        named = schema.get("properties") or {"[x1, y1, x2, y2]": schema.get("additionalProperties", {})}
        for name, inner in named.items():
            if inner:
                yield from answer_fields(inner, f"{place}.{name}" if place else name)
    else:
        kind = schema.get("type", "text")
        words = " or ".join(kind) if isinstance(kind, list) else kind
        choices = ", ".join(map(str, schema["enum"])) if "enum" in schema else ""
        yield place, words, schema.get("description", "") or choices


def _default(value: Any) -> str:
    return "" if value in (None, (), "") else str(value).lower() if isinstance(value, bool) else str(value)
