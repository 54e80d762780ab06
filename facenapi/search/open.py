"""The search that a configuration asks for: embedded, spread over shards, or in Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.errors import StartupError
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.remote.client import RemoteShard
from facenapi.search.remote.peers import secret_of
from facenapi.search.table import read_table
from facenapi.storage.open import database_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from facenapi.config.options import Config
    from facenapi.search.milvus.engine import Engine
    from facenapi.search.remote.client import Model
    from facenapi.search.shard import Shard
    from facenapi.storage.base import Store


GRACE_S = 1.0  # a shard's own deadline comes first, and says more


def open_searcher(config: Config, store: Store, model: Callable[[], Model] = lambda: (None, None)) -> ShardClient:
    """Return Milvus, the shards of ``tntapi_servers_file``, or one in this process if neither is set.

    ``model``: says name and dimension of the vectors that will be searched with, when searches begin.

    Raises StartupError if the table is wrong, both are set, or Milvus has no driver here.
    """
    timeout_s = config.tntapi_connect_timeout + config.tntapi_request_timeout + GRACE_S
    if config.milvus_uri:
        return ShardClient([(_milvus_shard(config, store), None)], timeout_s)
    if not config.tntapi_servers_file:
        alone = database_file(config) is not None  # the embedded store has no other server
        shard = LocalShard(Path(config.data_dir) / "index", store, hears=not alone)
        return ShardClient([(shard, None)], config.tntapi_request_timeout, None if alone else shard.hear)
    table = read_table(Path(config.tntapi_servers_file))
    shards = [
        (
            RemoteShard(
                address,
                number=number,
                store=store,
                cells=cells,
                model=model,
                secret=secret_of(config),
                connect_timeout_s=config.tntapi_connect_timeout,
                request_timeout_s=config.tntapi_request_timeout,
                max_clients=config.tntapi_max_clients,
            ),
            cells,
        )
        for number, (address, cells) in enumerate(table.items(), 1)
    ]
    return ShardClient(shards, timeout_s)


def _milvus_shard(config: Config, store: Store) -> Shard:
    if config.tntapi_servers_file:
        raise StartupError("milvus_uri and tntapi_servers_file are two places to search in: set one of them")
    engine = open_milvus(config)
    from facenapi.search.milvus.shard import MilvusShard  # noqa: PLC0415 - as below

    return MilvusShard(engine, store, threads=config.tntapi_max_clients)


def open_milvus(config: Config) -> Engine:
    """Return the engine behind ``milvus_uri``, not connected yet; raise StartupError if it has no driver here."""
    try:
        # pymilvus is an extra, and takes a second to import.
        from facenapi.search.milvus.engine import Engine  # noqa: PLC0415
    except ModuleNotFoundError:
        raise StartupError("milvus_uri needs pymilvus: pip install 'facenapi[milvus]'") from None
    return Engine(config.milvus_uri, config.milvus_token, config.milvus_db, timeout_s=config.tntapi_request_timeout)
