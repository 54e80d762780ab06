"""Which keeper of pictures the configuration means, and the sweep of pictures without a face."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from facenapi.errors import ApiError, StartupError
from facenapi.services.pictures import PictureKeeper, stem_of, tag_of
from facenapi.storage.base import FaceFilter, Page
from facenapi.storage.ids import make_id
from facenapi.storage.pictures.dirty_flags import DirtyFlag
from facenapi.storage.pictures.photos import FolderFiles, ListedFiles, WebDavFiles, split_credentials

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.storage.base import Store

log = logging.getLogger(__name__)

_HOUR, _SLACK = 3600, 900  # seconds; a face is stored soon after its pictures, by this process or another


def open_pictures(config: Config, store: Store) -> PictureKeeper:
    """Return the keeper, not started yet; raise StartupError for options that do not go together."""
    files = open_files(config)
    if files is None:
        for folder in (Path(config.data_dir) / name for name in ("photos", "webdav")):
            if has_kept(folder):
                log.warning(
                    "Photos were kept (%s) and photo_storage is off: not served, and not deleted with faces",
                    folder,
                )
        return PictureKeeper(None, "")
    own = files.url if isinstance(files, WebDavFiles) else "/uploads"
    return SweepingKeeper(files, config.upload_path or own, store)


def open_files(config: Config) -> ListedFiles | None:
    """Return the place for files, not started yet, None if photos are not kept; raise StartupError."""
    data = Path(config.data_dir)
    if config.photo_storage != "off" and split_credentials(config.upload_path)[1] is not None:
        raise StartupError("upload_path must not have user:password@: clients see it")
    if config.photo_storage == "files":
        return FolderFiles(data / "photos")
    if config.photo_storage == "webdav":
        return WebDavFiles(config.ffupload_url, config.fetch_timeout, config.fetch_max_clients, data / "webdav")
    return None


def has_kept(folder: Path) -> bool:
    """Whether there are folders of owners in a folder of kept files, or may be."""
    try:
        return any(path.is_dir() for path in folder.iterdir())
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)


class FlaggingKeeper(PictureKeeper):
    """Keeps pictures, and a mark that stays, for the next look of a server, if some may have lost their face."""

    def __init__(self, files: ListedFiles, base_url: str) -> None:
        super().__init__(files, base_url)
        self._flag = DirtyFlag(files.folder)

    async def start(self) -> None:
        """Open the place and set the mark; raise StartupError."""
        await super().start()
        await asyncio.to_thread(self._flag.set)

    async def close(self) -> None:
        """Close the place; the mark goes if nothing can have been left over."""
        unsettled = self.unsettled  # what is broken off by the closing may settle without having been done
        await super().close()
        await asyncio.to_thread(self._flag.release, keep=bool(self.left_over or unsettled))


class SweepingKeeper(FlaggingKeeper):
    """Keeps pictures, and removes those without a face: after a process that did not end well, and after failures.

    Other processes may be storing faces whose pictures are there already: young pictures are left alone.
    """

    def __init__(self, files: ListedFiles, base_url: str, store: Store) -> None:
        super().__init__(files, base_url)
        self._listed = files
        self._store = store
        self._young = True

    async def start(self) -> None:
        """Open the place, and look in the background whether something was left over."""
        await super().start()
        self.loops.repeat("sweep up kept photos", self._look, _HOUR, first_s=0)

    async def close(self) -> None:
        """End the sweep and close the place."""
        await self.loops.stop()
        await super().close()

    async def _look(self) -> None:
        """Sweep up what was left over: at first what is old enough, the rest, and what comes, at an hourly look."""
        sweep, self._young = self._sweep_old if self._young else self._sweep_all, False
        try:
            await self._take_over()
            if self.left_over:
                await sweep()
        except (ApiError, OSError) as error:
            log.warning("Kept photos could not be swept up: %s", error)

    async def _take_over(self) -> None:
        """Let the own mark stand for those of processes that are gone."""
        for mark in await asyncio.to_thread(self._flag.abandoned):
            self.left_over += 1
            await asyncio.to_thread(mark.unlink, missing_ok=True)

    async def _sweep_old(self) -> None:
        """Sweep what nobody can be storing any more; there may be more."""
        await self.sweep(time.time() - _SLACK)

    async def _sweep_all(self) -> None:
        """Sweep all that there is, after a pause in which what is being stored gets its faces."""
        before, left_over = time.time(), self.left_over
        await asyncio.sleep(_SLACK)
        await self.sweep(before)
        self.left_over -= left_over  # a removal that failed meanwhile has said so again

    async def sweep(self, before: float) -> int:
        """Remove files older than ``before`` (seconds since 1970) whose face there is not; return how many."""
        removed = 0
        for owner in await self._store.list_owners():
            orphans: list[str] = []
            for start, names in await asyncio.to_thread(self._listed.batches, tag_of(owner), before):
                known = await self._stems(owner, start, start + _HOUR + _SLACK)
                orphans += [name for name in names if _stem(name) not in known]
            if orphans:
                # Where the clock was set, a face's id is not of its hour: look through all before removing.
                known = await self._stems(owner, 0, before + _HOUR, {_stem(name) for name in orphans})
                orphans = [name for name in orphans if _stem(name) not in known]
                await self.remove(orphans)
                removed += len(orphans)
        log.info("Swept up %d kept photos without a face", removed)
        return removed

    async def _stems(self, owner: str, start: float, end: float, wanted: Iterable[str] | None = None) -> set[str]:
        """Return the stems of the faces with ids between two times, all or those wanted."""
        known: set[str] = set()
        low, high = make_id(start, 0) - 1, make_id(end, 0)
        while faces := await self._store.list_faces(owner, FaceFilter(), Page(1000, max_id=high, min_id=low)):
            stems = {stem for face in faces if (stem := stem_of(face))}
            known |= stems if wanted is None else stems & set(wanted)
            low = faces[0].id
        return known


def _stem(name: str) -> str:
    return name.partition(".")[0].removesuffix("_thumb").removesuffix("_norm")
