"""Who the client is and how it reached us, when proxies stand in between.

What a proxy says is believed only from addresses that the operator trusts; anybody else could write the same headers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.httputil import HTTPHeaders

    from facenapi.config.lists import Network

_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_.~-]+)+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the client sent it: its address, and the scheme, host and path prefix that it used."""

    address: str
    scheme: str
    host: str
    prefix: str

    @property
    def base(self) -> str:
        """What absolute URLs of this server begin with."""
        return f"{self.scheme}://{self.host}{self.prefix}"


def seen(peer: str, headers: HTTPHeaders, trusted: Sequence[Network], base_path: str) -> Seen:
    """Return how the client reached us; ``peer`` is the address at the other end of the connection.

    >>> from tornado.httputil import HTTPHeaders
    >>> from facenapi.config.lists import networks_of
    >>> headers = HTTPHeaders({"Host": "x", "X-Forwarded-For": "6.6.6.6, 9.9.9.9, 10.0.0.7"})
    >>> headers["X-Forwarded-Prefix"] = "/f/"
    >>> seen("10.0.0.1", headers, networks_of("10.0.0.0/8"), "")
    Seen(address='9.9.9.9', scheme='http', host='x', prefix='/f')
    >>> seen("9.9.9.1", headers, networks_of("10.0.0.0/8"), "")
    Seen(address='9.9.9.1', scheme='http', host='x', prefix='')
    """
    host = headers.get("Host", "localhost")
    peer = _address(peer) or peer
    if not _trusts(peer, trusted):
        return Seen(peer, "http", host, base_path)
    address = peer
    forwarded = headers.get("X-Forwarded-For") or headers.get("X-Real-Ip") or ""
    for word in reversed(forwarded.split(",")):
        text = _address(word)
        if text is None:
            break
        address = text
        if not _trusts(text, trusted):
            break
    scheme = _last(headers, "X-Forwarded-Proto").lower()
    host = _last(headers, "X-Forwarded-Host") or host
    prefix = _last(headers, "X-Forwarded-Prefix").rstrip("/")
    return Seen(
        address,
        scheme if scheme in ("http", "https") else "http",
        host if _HOST.fullmatch(host) else headers.get("Host", "localhost"),
        prefix if _PREFIX.fullmatch(prefix) else base_path,
    )


def _last(headers: HTTPHeaders, name: str) -> str:
    """Return what the nearest proxy said; those before it may be anybody."""
    return headers.get(name, "").rpartition(",")[2].strip()


def _address(word: str) -> str | None:
    """Return an address without port and brackets, an IPv4 one also where IPv6 wraps it; None if it is none."""
    text = word.strip()
    if match := re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+", text):
        text = match[1] or match[2]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)


def _trusts(address: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(found in network for network in trusted)
