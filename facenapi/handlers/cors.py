"""Pages of other origins: which may use this server from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from facenapi.config.lists import origins_of

if TYPE_CHECKING:
    from facenapi.config.options import Config

_EXPOSED = "X-Live-Servers, X-Request-Id, Retry-After, Server-Timing"
_ASKED = "Authorization, Content-Type, X-Request-Id, X-Timing"
_KEPT_S = 3600


def answer_headers(config: Config, headers: Mapping[str, str]) -> dict[str, str]:
    """Return what lets a page of an allowed origin read an answer; nothing for other origins."""
    if not config.cors_origins:
        return {}
    origin, allowed = headers.get("Origin", ""), origins_of(config.cors_origins)
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
    if origin.lower() not in allowed:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED, "Vary": "Origin"}


def preflight_headers(config: Config, headers: Mapping[str, str], methods: Sequence[str]) -> dict[str, str]:
    """Return the answer to a browser that asks before it sends a request; nothing for other origins."""
    answer = answer_headers(config, headers)
    if "Origin" not in headers or "Access-Control-Allow-Origin" not in answer:
        return {}
    return answer | {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": headers.get("Access-Control-Request-Headers") or _ASKED,
        "Access-Control-Max-Age": str(_KEPT_S),
    }
