"""Which store a configuration means."""

from __future__ import annotations

from pathlib import Path

from facenapi.config.reader import load
from facenapi.storage.mongo.store import MongoStore
from facenapi.storage.open import open_store
from facenapi.storage.sqlite.store import SqliteStore


def store_for(tmp_path: Path, *arguments: str):
    config, _ = load([f"--data_dir={tmp_path}", *arguments], default_path=tmp_path / "none.ini")
    return open_store(config)


def test_the_embedded_store_is_the_default(tmp_path):
    assert isinstance(store_for(tmp_path), SqliteStore)


def test_any_mongo_option_chooses_mongodb(tmp_path):
    for option in ("--mongo_host=127.0.0.1", "--mongo_port=27017", "--mongo_db=ntech", "--mongo_uri=mongodb://db/"):
        assert isinstance(store_for(tmp_path, option), MongoStore), option
