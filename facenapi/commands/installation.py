"""Opening the store and the kept photos of an installation whose server may be running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from facenapi.config.options import Config
from facenapi.errors import StartupError
from facenapi.services.pictures import PictureKeeper
from facenapi.services.sweep import FlaggingKeeper, has_kept, open_files
from facenapi.storage.base import Store
from facenapi.storage.open import database_file, open_store


@asynccontextmanager
async def open_owners(config: Config, owner: str = "") -> AsyncIterator[tuple[Store, list[str]]]:
    """Open the store of an installation, which may be running, with its owners or the one that is named.

    Raises:
        StartupError: there is no store yet, or no such owner.
    """
    database = database_file(config)
    if database is not None and not database.exists():
        raise StartupError(f"there is no database {database}: check --config and --data_dir")
    store = open_store(config, shared=True)
    await store.start()
    try:
        owners = await store.list_owners()
        if owner and owner not in owners:
            raise StartupError(f"there is no owner {owner}; facenapi token list shows those with tokens")
        if not owners:
            raise StartupError("there is no owner: facenapi token makes one")
        yield store, [owner] if owner else owners
    finally:
        await store.close()


@asynccontextmanager
async def open_kept(config: Config) -> AsyncIterator[PictureKeeper]:
    """Open the kept photos of an installation, which may be running: its server sweeps up what is left over here.

    A folder of them counts although the option is off: it may be on for the server alone, or have been once.

    Raises:
        StartupError: they are on a WebDAV server that is not named.
    """
    data = Path(config.data_dir)
    if config.photo_storage == "off" and has_kept(data / "photos"):
        config = replace(config, photo_storage="files")
    elif config.photo_storage == "off" and has_kept(data / "webdav"):
        raise StartupError(
            f"{data} has photos on a WebDAV server: name it, --photo_storage=webdav --ffupload_url=URL"
        )
    files = open_files(config)
    keeper = PictureKeeper(None, "") if files is None else FlaggingKeeper(files, "")
    await keeper.start()
    try:
        yield keeper
    except BaseException:
        keeper.left_over += 1  # faces may have gone whose photos had yet to follow
        raise
    finally:
        await keeper.close()
