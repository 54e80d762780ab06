"""The documentation of a version as one HTML page: no script, no font, nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shlex
from html import escape
from typing import Any
from urllib.parse import quote

from facenapi import __version__
from facenapi.api.operation import Operation
from facenapi.handlers import views
from facenapi.handlers.openapi import VERSIONS, Table, document, operations, path_schema

Json = dict[str, Any]

_PLAIN: Json = {"integer": 1, "boolean": True, "string": "text"}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-top: 1px solid #ddd; padding-top: 1.5rem; font-size: 1.15rem; }
h2 code { background: none; padding: 0; }
pre, code { font: 14px/1.45 ui-monospace, monospace; background: #f4f5f7; border-radius: 4px; }
pre { padding: .8rem; overflow-x: auto; } code { padding: .1rem .3rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0;
vertical-align: top; border-bottom: 1px solid #eee; } nav a { display: block; } .method { font-weight: 700; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #ddd; } pre, code { background: #24272d; }
h2, td, th { border-color: #333; } a { color: #8ab4f8; } }
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


def page(version: str, table: Table, base: str) -> str:
    """Return the page; ``base`` is where the examples go, http://host:port."""
    described = document(version, table)
    found = list(operations(version, table))
    links = "".join(
        f'<a href="#{method}{escape(path)}">{method.upper()} {escape(path)}</a>' for path, method, _ in found
    )
    sections = "".join(_section(path, method, declared, f"{base}/{version}") for path, method, declared in found)
    title = escape(described["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>'
        f"<p>{escape(described['info']['description'])}</p>"
        f"<p>Every request needs the header <code>Authorization: Token KEY</code>. The same as "
        f'<a href="/docs/{version}/openapi.json">OpenAPI 3.1</a>.</p><nav>{links}</nav>{sections}</html>'
    )


def _section(path: str, method: str, declared: Operation, base: str) -> str:
    name = f'<span class="method">{method.upper()}</span> {escape(path)}'
    parts = [f'<h2 id="{method}{escape(path)}"><code>{name}</code></h2><p>{escape(declared.summary)}.</p>']
    if declared.params:
        rows = "".join(
            f"<tr><td><code>{param.name}</code><td>{escape(param.text)}<td>{escape(param.kind.phrase)}"
            f"<td>{'required' if param.required else escape(_default(param.default))}"
            for param in declared.params
        )
        parts.append(f"<table><tr><th>Parameter<th>Meaning<th>Form<th>Default{rows}</table>")
    url = base + re.sub(r"\{(\w+)\}", lambda match: _path_value(match[1]), path)
    parts += [f"<pre>{escape(text)}</pre>" for text in (_curl(method, url, declared), _python(method, url, declared))]
    parts.append(f"<p>Answer {declared.status}; errors: {', '.join(('BAD_PARAM', *declared.errors))}</p>")
    if declared.answer is not None:
        parts.append(f"<pre>{escape(json.dumps(sample(declared.answer), indent=2, sort_keys=True))}</pre>")
    return "".join(parts)


def _default(value: Any) -> str:
    return "" if value in (None, (), "") else str(value).lower() if isinstance(value, bool) else str(value)


def _path_value(name: str) -> str:
    return quote(str(path_schema(name)["examples"][0]))


def _curl(method: str, url: str, declared: Operation) -> str:
    lines = [f"curl -X {method.upper()} -H 'Authorization: Token KEY'"]
    if declared.example:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(declared.example))}"]
    return " \\\n    ".join([*lines, shlex.quote(url)])


def _python(method: str, url: str, declared: Operation) -> str:
    body = f", json={declared.example!r}" if declared.example else ""
    return (
        "import requests\n\n"
        f"answer = requests.{method}({url!r},\n"
        f'    headers={{"Authorization": "Token KEY"}}{body})\n'
        + ("print(answer.status_code)" if declared.answer is None else "print(answer.json())")
    )


def sample(schema: Json) -> Any:
    """Return a value that a schema of an answer allows: its example, or the plainest."""
    if "$ref" in schema:
        return sample({"Face": views.FACE, "Box": views.BOX}[schema["$ref"].rpartition("/")[2]])
    if "examples" in schema:
        return schema["examples"][0]
    if "oneOf" in schema:
        return sample(schema["oneOf"][0])
    if schema["type"] == "array":
        return [sample(schema["items"])]
    if schema["type"] != "object":
        return _PLAIN[schema["type"]]
    named = schema.get("properties") or {sample(schema["propertyNames"]): schema["additionalProperties"]}
    return {name: sample(inner) for name, inner in named.items()}
