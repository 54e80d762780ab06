"""Options that are lists, of ports, hosts, networks or origins; a host, a proxy, a path, what must not be empty."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def ports_of(text: str) -> frozenset[int]:
    """Return the ports of ``80,443``; ValueError if it is no such list."""
    ports = frozenset(int(word) for word in _words(text, r"[0-9]{1,5}"))
    if not all(0 < port < 65536 for port in ports):
        raise ValueError(text)
    return ports


def hosts_of(text: str) -> tuple[str, ...]:
    """Return the names of ``photos.example.com,*.example.org``; ValueError if it is no such list."""
    return tuple(word.lower() for word in _words(text, r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"))


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks of ``10.1.0.0/16,192.168.7.9``; ValueError if it is no such list.

    >>> networks_of("::ffff:10.0.0.0/104")
    (IPv4Network('10.0.0.0/8'),)
    """
    return tuple(_unmapped(ipaddress.ip_network(word)) for word in _words(text, r"[0-9a-fA-F:.]+(?:/[0-9]{1,3})?"))


def _unmapped(network: Network) -> Network:
    """Return a network, one of IPv4 also where IPv6 wraps it."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        inner = network.network_address.ipv4_mapped
        return network if inner is None else ipaddress.IPv4Network((int(inner), network.prefixlen - 96))
    return network


def origins_of(text: str) -> frozenset[str]:
    """Return the origins of ``https://app.example.com,http://localhost:3000``, or ``*``; ValueError if it is none."""
    pattern = r"\*|null|[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?/?"
    return frozenset(word.rstrip("/").lower() for word in _words(text, pattern))


def filled(text: str) -> str:
    """Return a text that is more than space; ValueError if it is not."""
    if not text.strip():
        raise ValueError(text)
    return text


def host_of(text: str) -> str:
    """Return an address or a name that can be looked up; ValueError if it cannot."""
    filled(text).encode("idna")
    return text


def proxy_of(text: str) -> tuple[str, int] | None:
    """Return host and port of ``http://10.0.0.1:3128``, None if there is none; ValueError if it is no proxy.

    >>> proxy_of("proxy.example.com")
    ('proxy.example.com', 3128)
    """
    if not text:
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme != "http" or not parts.hostname or "@" in parts.netloc or parts.path.strip("/"):
        raise ValueError(text)
    return parts.hostname, parts.port or 3128


def path_of(text: str) -> str:
    """Return a path without the slash at its end; ValueError if it is none."""
    if text and not re.fullmatch(r"(?:/[A-Za-z0-9_.~-]+)+/?", text):
        raise ValueError(text)
    return text.rstrip("/")


def _words(text: str, pattern: str) -> list[str]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(re.fullmatch(pattern, word) for word in words):
        raise ValueError(text)
    return words
