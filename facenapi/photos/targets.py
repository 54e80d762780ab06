"""Which hosts, ports and addresses photos may be fetched from.

Nothing here resolves or connects: ``fetch.py`` asks for each URL and for each address that it leads to.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from facenapi.config.lists import Network

# Public IPv6 addresses are all in here; NAT64 and other embeddings of IPv4 addresses, site-local ones and whatever
# has no meaning yet are not.
_UNICAST = ipaddress.ip_network("2000::/3")
# Not for a photo, although Python's is_global says yes for some of them: IETF protocol assignments, 6to4 relays,
# 6to4 and Teredo (which embed IPv4 addresses), documentation.
_DENIED = [
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "2001::/32", "3fff::/20")
]


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet.

    >>> is_public("93.184.216.34"), is_public("::ffff:127.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    ip = _parse(address)
    if ip is None or (ip.version == 6 and ip not in _UNICAST):
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _DENIED if net.version == ip.version)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, an IPv4 one also where IPv6 wraps it; None if the text is none."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


@dataclass(frozen=True, slots=True)
class Targets:
    """What is allowed: empty ``ports`` and ``hosts`` mean any; ``networks`` are allowed although not public."""

    ports: frozenset[int] = frozenset()
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    private: bool = False  # whether all addresses are

    def allows_port(self, port: int) -> bool:
        """Whether a URL may name (or imply) this port."""
        return not self.ports or port in self.ports

    def allows_host(self, host: str) -> bool:
        """Whether a URL may name this host.

        >>> targets = Targets(hosts=("a.example", "*.b.example"))
        >>> [targets.allows_host(host) for host in ("A.example.", "x.b.example", "b.example", "xa.example")]
        [True, True, False, False]
        """
        name = host.lower().removesuffix(".")
        return not self.hosts or any(
            name.endswith(allowed[1:]) if allowed.startswith("*") else name == allowed for allowed in self.hosts
        )

    def allows_address(self, address: str) -> bool:
        """Whether this IP address may be connected to."""
        if self.private or is_public(address):
            return True
        ip = _parse(address)
        return ip is not None and any(ip in network for network in self.networks if network.version == ip.version)
