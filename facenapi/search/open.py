"""The search that a configuration asks for: embedded, or spread over shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.remote import RemoteShard
from facenapi.search.table import read_table

if TYPE_CHECKING:
    from facenapi.options import Config
    from facenapi.storage.base import Store


GRACE_S = 1.0  # a shard's own deadline comes first, and says more


def open_searcher(config: Config, store: Store) -> ShardClient:
    """Return the shards of ``tntapi_servers_file``, or one in this process if that is not set.

    Raises StartupError if the table is wrong.
    """
    if not config.tntapi_servers_file:
        return ShardClient(
            [(LocalShard(Path(config.data_dir) / "index", store), None)], config.tntapi_request_timeout
        )
    table = read_table(Path(config.tntapi_servers_file))
    shards = [
        (
            RemoteShard(
                address,
                connect_timeout_s=config.tntapi_connect_timeout,
                request_timeout_s=config.tntapi_request_timeout,
                max_clients=config.tntapi_max_clients,
            ),
            cells,
        )
        for address, cells in table.items()
    ]
    return ShardClient(shards, config.tntapi_connect_timeout + config.tntapi_request_timeout + GRACE_S)
