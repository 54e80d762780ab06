"""``facenapi export`` and ``facenapi import``: everything of an owner, as a file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facenapi.commands.common import check_readable, parse, parser, progress
from facenapi.commands.installation import open_owners
from facenapi.errors import StartupError
from facenapi.storage.open import open_store, place_of
from facenapi.storage.transfer.exports import export_owner, export_owners
from facenapi.storage.transfer.imports import import_owner, owners_of
from facenapi.storage.transfer.lines import TransferError

if TYPE_CHECKING:
    from tqdm import tqdm

    from facenapi.config.options import Config

EXPORT = """\
Write everything of an owner, or of all, (faces with their vectors, galleries, persons, cameras) to a file, to move
to another store. It works while the server runs. Interrupted, it goes on when it is run again; the
file has its name only when it is whole. Photos and tokens are not in it.

    facenapi export faces.ndjson
"""
IMPORT = """\
Bring a file of "facenapi export" into the store. Ids, persons, times and vectors stay what they were. It works
while the server runs, and can be interrupted and repeated: what is there already is left alone.

    facenapi import faces.ndjson
"""


def export_main(arguments: Sequence[str]) -> int:
    """Write an owner to a file."""
    own = parser("export", EXPORT)
    own.add_argument("file", type=Path, metavar="FILE", help="the file to write, or to go on with")
    own.add_argument("--owner", default="", help='whose faces, as "facenapi token list" shows; default: of all')
    own.add_argument("--quiet", "-q", action="store_true", help="no progress bar")
    chosen, config = parse(own, arguments, as_owner=False)
    if chosen.file.exists():
        raise StartupError(f"{chosen.file} exists already")
    return asyncio.run(_transfer(_export(chosen.file, chosen.owner, config, _Bar(chosen.quiet)), chosen.file))


def import_main(arguments: Sequence[str]) -> int:
    """Read an owner from a file."""
    own = parser("import", IMPORT)
    own.add_argument("file", type=Path, metavar="FILE", help="the file to read")
    own.add_argument("--owner", default="", help="whose faces they shall be; default: the owner that had them")
    own.add_argument("--quiet", "-q", action="store_true", help="no progress bar")
    chosen, config = parse(own, arguments)
    check_readable(chosen.file)
    return asyncio.run(_transfer(_import(chosen.file, chosen.owner, config, _Bar(chosen.quiet)), chosen.file))


async def _transfer(work: Any, file: Path) -> int:
    try:
        print(await work)
    except TransferError as error:
        raise StartupError(f"{file}: {error}") from error
    except OSError as error:
        raise StartupError(f"{error.filename or file}: {error.strerror}") from error
    return 0


async def _export(file: Path, owner: str, config: Config, bar: _Bar) -> str:
    async with open_owners(config, owner) as (store, owners):
        try:
            if len(owners) == 1:
                count = await export_owner(store, owners[0], file, bar)
            else:
                count = await export_owners(store, owners, file, bar)
        finally:
            bar.close()
    return f"{file}: {count} faces of {place_of(config)}"


async def _import(file: Path, owner: str, config: Config, bar: _Bar) -> str:
    store = open_store(config, shared=True)
    await store.start()
    try:
        targets = [owner] if owner else owners_of(file)
        count = await import_owner(store, file, owner, bar)
        await store.begin_epoch()
        owners = {token.owner for token in await store.list_tokens() if token.active}
        locked_up = [target for target in sorted(set(targets) - owners) if await store.count_faces(target)]
    finally:
        bar.close()
        await store.close()
    for target in locked_up:
        print(
            f"No token leads to the faces of {target}: facenapi token --owner={target} makes one, "
            "with the same --config and --data_dir",
            file=sys.stderr,
        )
    return f"{file}: {count} new faces in {place_of(config)}"


class _Bar:
    """A progress bar that begins when the first figures come."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = progress(total, "faces", quiet=self._quiet)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End it."""
        if self._bar is not None:
            self._bar.close()
