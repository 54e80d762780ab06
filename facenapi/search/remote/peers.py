"""A server and a shard prove to each other that they belong together, at every call.

The server says with each call which store it uses and in which epoch, which cells it believes to be there, which
model's vectors it searches with, and which version of :mod:`.wire` it speaks. The shard answers the same of itself
to ``/health``. Whoever finds that something does not fit says so, and the shard counts as one that is not ready: it
would answer, and be wrong. A shared secret keeps strangers out.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facenapi.errors import StartupError
from facenapi.storage.base import CELL_COUNT, Lineage, StoreIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facenapi.config.options import Config

WIRE = 2  # grows with every change of :mod:`.wire`, or of this module
HEADER = "X-Facenapi-Peer"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a server says of itself; None: it does not say. ``source``: a :class:`StoreIdentity` as text."""

    wire: int = WIRE
    source: str | None = None
    cells: str | None = None
    model: str | None = None
    dimension: int | None = None

    def text(self) -> str:
        """Return it as the value of :data:`HEADER`."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)

    @classmethod
    def parse(cls, text: str) -> Hello:
        """Return what :meth:`text` returned; raise ValueError for anything else."""
        try:
            return cls(**json.loads(text))
        except (TypeError, RecursionError) as error:
            raise ValueError(f"{HEADER} is not what a server says of itself") from error


def digest(cells: frozenset[int] | None) -> str:
    """Return a short name for a set of cells, None is all of them."""
    numbers = sorted(range(CELL_COUNT) if cells is None else cells)
    return hashlib.sha256(repr(numbers).encode()).hexdigest()[:16]


def fault_of_server(hello: Hello, own: Mapping[str, Any], lineage: Lineage) -> str:
    """Return why a shard that says ``own`` of itself, on a store with this lineage, refuses a server; "" if not."""
    if hello.wire != own["wire"]:
        return f"the server speaks version {hello.wire} of the shards' protocol, the shard version {own['wire']}"
    if hello.source is not None and not lineage.holds(StoreIdentity.parse(hello.source), 0):
        return _other_store(hello.source, str(lineage.identity))
    return _fault(hello, own)


def fault_of_shard(hello: Hello, shard: Mapping[str, Any], lineage: Lineage | None) -> str:
    """Return why a server that says ``hello``, on a store with this lineage, cannot use that shard; "" if it can."""
    if shard.get("wire") != hello.wire:
        return (
            f"the shard speaks version {shard.get('wire')} of the shards' protocol, the server version {hello.wire}"
        )
    source = str(shard.get("source"))
    if lineage is not None and not lineage.holds(StoreIdentity.parse(source), _number(shard.get("revision"))):
        return _other_store(str(lineage.identity), source)
    return _fault(hello, shard)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _other_store(server: str, shard: str) -> str:
    return f"the server is on store {server}, the shard on store {shard} or on another past of it"


def _fault(hello: Hello, shard: Mapping[str, Any]) -> str:
    if hello.cells is not None and hello.cells != shard.get("cells"):
        return "the shard has other cells than the server's table gives it: both must have the same table"
    sizes = shard.get("dimensions")
    size = sizes.get(hello.model) if isinstance(sizes, dict) else None
    if size is not None and hello.dimension not in (None, size):
        return f"vectors of {hello.model} have {size} numbers in the shard, {hello.dimension} in the server"
    return ""


def secret_of(config: Config) -> str:
    """Return the secret that servers and shards share, "" without one; raise StartupError if it cannot be read."""
    if not config.shard_secret_file:
        return config.shard_secret
    try:
        secret = Path(config.shard_secret_file).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise StartupError(f"shard_secret_file {config.shard_secret_file} cannot be read: {reason}") from error
    if not secret:
        raise StartupError(f"shard_secret_file {config.shard_secret_file} is empty")
    return secret


def authorization(secret: str) -> dict[str, str]:
    """Return the header that shows a secret, none without one."""
    return {"Authorization": f"Token {secret}"} if secret else {}


def is_authorized(header: str | None, secret: str) -> bool:
    """Whether a header shows the secret, in a time that tells nothing of it."""
    return not secret or hmac.compare_digest((header or "").encode(), f"Token {secret}".encode())


def check_host(host: str, secret: str) -> None:
    """Raise StartupError for a shard that strangers could reach and that has no secret."""
    if secret or host == "localhost":
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise StartupError(
            f"shard_address: {host} can be reached from elsewhere, so the shard and its servers need a shared "
            "secret: set shard_secret or shard_secret_file, or take an address of 127.0.0.1"
        )
