"""The table of shards: which are searched, and where each of them lives."""

import json
import sys

import pytest

from facenapi.config.options import Config
from facenapi.errors import StartupError
from facenapi.search.local import LocalShard
from facenapi.search.open import open_searcher
from facenapi.search.remote.server import ShardServer
from facenapi.search.table import read_table


def test_table(tmp_path):
    path = tmp_path / "tntapi.json"
    path.write_text(json.dumps([["a:1"] * 1000 + ["[::1]:65535"] * 24]))
    assert read_table(path) == {"a:1": frozenset(range(1000)), "[::1]:65535": frozenset(range(1000, 1024))}
    for bad in (
        [],
        [[]],
        [["a:1"] * 1023],
        [["a:1"] * 1024] * 2,
        [["a"] * 1024],
        [["a:0"] * 1024],
        [[1] * 1024],
        [["a:99999"] * 1024],
        {"a": 1},
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(StartupError):
            read_table(path)
    with pytest.raises(StartupError):
        read_table(tmp_path / "missing")


def test_configuration(tmp_path, store):
    path = tmp_path / "tntapi.json"
    path.write_text(json.dumps([["a:1"] * 1000 + ["b:2"] * 12 + ["c:2"] * 12]))
    client = open_searcher(Config(tntapi_servers_file=str(path)), store)
    assert [shard.info()["address"] for shard in client.shards] == ["a:1", "b:2", "c:2"]
    assert isinstance(open_searcher(Config(data_dir=str(tmp_path)), store).shards[0], LocalShard)
    with pytest.raises(StartupError, match="missing: cannot be read as a table"):  # no quiet search of our own
        open_searcher(Config(tntapi_servers_file=str(tmp_path / "missing"), data_dir=str(tmp_path)), store)
    with pytest.raises(StartupError, match="a:1, b:2"):
        ShardServer.from_config(Config(tntapi_servers_file=str(path), shard_address="c:3"), store)


def test_a_shard_without_onnx_runtime_says_what_to_install(tmp_path, store, monkeypatch):
    path = tmp_path / "tntapi.json"
    path.write_text(json.dumps([["127.0.0.1:1"] * 1024]))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[cpu\]'"):
        ShardServer.from_config(Config(tntapi_servers_file=str(path), shard_address="127.0.0.1:1"), store)


async def test_each_address_has_a_folder_of_its_own(tmp_path, store):
    path = tmp_path / "tntapi.json"
    addresses = ["127.0.0.1:2", "127.0.0.2:2", "[::1]:2"]
    path.write_text(json.dumps([[addresses[cell % 3] for cell in range(1024)]]))
    for address in addresses:
        config = Config(tntapi_servers_file=str(path), shard_address=address, data_dir=str(tmp_path / "data"))
        shard = ShardServer.from_config(config, store).shard
        await shard.start()
        await shard.close()
    folders = sorted(folder.name for folder in (tmp_path / "data").iterdir())
    assert folders == ["shard-127.0.0.1-2", "shard-127.0.0.2-2", "shard-::1-2"]
