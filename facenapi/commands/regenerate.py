"""Give stored faces the vectors of another model pack, before servers change to it.

Faces are found again on their photos: in a folder of yours (--photos, by the MD5 of the files), else among the kept
photos (in data_dir, or with photo_storage=webdav), else at the photo's URL. It works while the server runs, in
parallel, and can be interrupted and repeated. Running servers go on finding all faces by their old vectors, and build
the index of the new ones beside. So: run it with --model_pack=NEW, change model_pack in the configuration, restart
the servers, and run it once more for the faces that were added in between. Faces whose photo is not to be had stay as
they are; the new servers do not find them.

    facenapi regenerate --count
    facenapi regenerate --model_pack=/srv/models/new --photos=/srv/photos
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from facenapi.commands.common import number, parse, parser, progress
from facenapi.commands.installation import open_kept, open_owners
from facenapi.config.options import Config
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import StartupError
from facenapi.mass_enroll.sources import find_photos
from facenapi.services.photos import PhotoLoader
from facenapi.services.regenerate import Regenerator, count_models

_SHOWN = 20


def main(arguments: Sequence[str]) -> int:
    """Move all faces to the pack of the configuration; 1 if some could not be moved."""
    own = parser("regenerate", __doc__)
    own.add_argument("--count", action="store_true", help="only say how many faces have vectors of which model")
    own.add_argument("--photos", type=Path, action="append", default=[], metavar="DIR",
                     help="look for the photos in this folder first; may be repeated")  # fmt: skip
    own.add_argument("--owner", default="", help='only this owner of those that "facenapi token list" shows')
    own.add_argument("--parallel", "-p", type=number(int, 1, 1000), default=2 * (os.cpu_count() or 1), metavar="N",
                     help="photos at a time (%(default)s)")  # fmt: skip
    own.add_argument("--quiet", "-q", action="store_true", help="no progress bar")
    chosen, config = parse(own, arguments)
    if chosen.parallel < 1:
        own.error("--parallel must be at least 1")
    if chosen.count:
        return asyncio.run(_count(config, chosen.owner))
    files = _by_hash(chosen.photos, quiet=chosen.quiet)
    return asyncio.run(_regenerate(config, chosen.owner, files, chosen.parallel, quiet=chosen.quiet))


async def _count(config: Config, owner: str) -> int:
    new = load_pack(config.pack_folder).name_of(config.embedding_views)
    async with open_owners(config, owner) as (store, owners):
        totals: Counter[str] = Counter()
        for name in owners:
            totals += await count_models(store, name)
    for model, count in sorted(totals.items()):
        print(f"{count:12}  {model}{'  (the configured pack)' if model == new else ''}")
    print(f"{totals.total() - totals[new]} of {totals.total()} faces are to be moved to {new}")
    return 0


def _by_hash(folders: list[Path], *, quiet: bool) -> dict[str, Path]:
    """Return the photos below the folders by the MD5 of their bytes."""
    found: dict[str, Path] = {}
    with progress(None, "files read", quiet=quiet) as bar:
        for path in find_photos(folders, lambda text: print(text, file=sys.stderr)):
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            except OSError as error:
                raise StartupError(f"{path}: {error.strerror}") from error
            found[digest.hexdigest()] = path
            bar.update()
    return found


async def _regenerate(config: Config, owner: str, files: dict[str, Path], parallel: int, *, quiet: bool) -> int:
    detector, moved, failed = FaceDetector(config), 0, 0
    async with AsyncExitStack() as closing:
        store, owners = await closing.enter_async_context(open_owners(config, owner))
        pictures = await closing.enter_async_context(open_kept(config))
        photos = PhotoLoader(config)
        closing.callback(photos.close)
        closing.push_async_callback(detector.close)
        await detector.start()
        work = Regenerator(
            store, detector, photos, pictures, files=files, parallel=min(parallel, config.max_decode_jobs)
        )
        total = sum([await store.count_faces(name) for name in owners])
        bar = closing.enter_context(progress(total, "faces", quiet=quiet))
        for name in owners:
            result = await work.run(name, bar.update)
            moved += result.moved
            for face, reason in list(result.failed.items())[: max(0, _SHOWN - failed)]:
                bar.write(f"face {face}: {reason}", file=sys.stderr)
            failed += len(result.failed)
    there = total - moved - failed
    print(f"{moved} faces moved to {detector.embedding_name}, {failed} could not be, {there} were there already")
    return 1 if failed else 0
