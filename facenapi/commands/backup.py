"""``facenapi backup`` and ``facenapi restore``: the embedded store as a whole, of one moment."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.commands.common import check_readable, parse, parser, progress
from facenapi.errors import StartupError
from facenapi.process.durable import sync
from facenapi.process.private import room_fault
from facenapi.storage.open import database_file

if TYPE_CHECKING:
    from facenapi.config.options import Config

BACKUP = """\
Copy the embedded store to a new folder, as it is at one moment, while the server goes on writing: faces with their
vectors, galleries, persons, cameras and tokens in one database file, and the kept photos if there are any. A photo
that is removed meanwhile may be missing in it, none is that belongs to a face of that moment otherwise.

    facenapi backup /srv/backup/facenapi-monday
"""
RESTORE = """\
Put a folder of "facenapi backup" back. The server must be stopped. With --replace, what is there stays beside it:
the database and the folder of kept photos, each under its name with .before-1 (or the next number that is free).
The store begins a new epoch: search indexes and shards that know of later changes are read anew.

    facenapi restore /srv/backup/facenapi-monday
"""
_DATABASE, _PHOTOS, _UNFINISHED = "facenapi.sqlite", "photos", "facenapi.sqlite.unfinished"


def backup_main(arguments: Sequence[str]) -> int:
    """Make a copy."""
    own = parser("backup", BACKUP)
    own.add_argument("folder", type=Path, metavar="FOLDER", help="the folder to make")
    own.add_argument("--quiet", "-q", action="store_true", help="no progress bar")
    chosen, config = parse(own, arguments, as_owner=False)
    from facenapi.storage.sqlite.copy import back_up  # noqa: PLC0415 - not without the check below

    database = _database(config)
    if not database.exists():
        raise StartupError(f"there is no database {database}: check --config and --data_dir")
    chosen.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(chosen.folder.iterdir()):
        raise StartupError(f"{chosen.folder} is not empty: name a new folder, or remove what an interrupted one left")
    with progress(None, "pages", quiet=chosen.quiet) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        # Under another name until all is there: what was interrupted is not taken for a backup.
        copy = chosen.folder / _UNFINISHED
        faces = back_up(database.parent, copy, show)
    # After the database, so that every face in it has its photos, but those that go in between.
    photos = _copy_photos(Path(config.data_dir) / _PHOTOS, chosen.folder / _PHOTOS)
    copy.replace(chosen.folder / _DATABASE)
    sync(chosen.folder)
    print(f"{chosen.folder}: {faces} faces of {database}, {photos} files of kept photos")
    return 0


def restore_main(arguments: Sequence[str]) -> int:
    """Put a copy back."""
    own = parser("restore", RESTORE)
    own.add_argument("folder", type=Path, metavar="FOLDER", help='what "facenapi backup" made')
    own.add_argument(
        "--replace", action="store_true", help="although there is a database; it is kept beside the new one"
    )
    chosen, config = parse(own, arguments)
    from facenapi.storage.sqlite.copy import put_back  # noqa: PLC0415 - as above

    database = _database(config)
    check_readable(chosen.folder)
    if (chosen.folder / _UNFINISHED).exists():
        raise StartupError(f'{chosen.folder} is of a "facenapi backup" that did not come to its end')
    if not (chosen.folder / _DATABASE).is_file():
        raise StartupError(f'{chosen.folder} is not a folder of "facenapi backup"')
    check_readable(chosen.folder / _DATABASE)
    kept = Path(config.data_dir) / _PHOTOS
    faces, aside = put_back(chosen.folder / _DATABASE, database.parent, kept, replace=chosen.replace)
    for path in aside:
        print(f"What was there is {path}")
    photos = _copy_photos(chosen.folder / _PHOTOS, kept)
    if photos:  # those of faces that came while the copy was made have no face: the server sweeps them up
        (kept / "running-restore").touch(mode=0o600)
    print(f"{database}: {faces} faces, {photos} files of kept photos")
    return 0


def _database(config: Config) -> Path:
    database = database_file(config)
    if database is None:
        raise StartupError("this is for the embedded store; MongoDB has mongodump and mongorestore")
    return database


def _copy_photos(source: Path, target: Path) -> int:
    """Copy the files that are not there yet; return how many are there now. They never change."""
    count = 0
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        there = target / path.relative_to(source)
        if path.is_dir():
            there.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not path.name.startswith(("running-", "new-")) and not there.exists():
            part = there.with_name(there.name + ".part")
            try:
                shutil.copyfile(path, part)
            except FileNotFoundError:  # its face was deleted just now
                part.unlink(missing_ok=True)
                continue
            except OSError as error:
                reason = room_fault(there.parent, error) or error.strerror
                raise StartupError(f"{path} cannot be copied to {there.parent}: {reason}") from error
            part.replace(there)
        count += there.is_file()
    return count
