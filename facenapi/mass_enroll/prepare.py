"""From photos, or a table of them, to jobs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.mass_enroll import metas
from facenapi.mass_enroll.jobfile import journal_path, split, write_jobs
from facenapi.mass_enroll.sources import SUFFIXES, find_photos
from facenapi.mass_enroll.tables import check_names, read_metas, read_table

_SHOWN = 10


def prepare(chosen: argparse.Namespace, path: Path, warn: Callable[[str], None]) -> Iterator[tuple[Path, int]]:
    """Write the job file, or those that it is split into; yield each with the count of its photos.

    Raises:
        StartupError: there are no photos, some have no meta, a file is there already or cannot be written.
    """
    jobs = jobs_of(chosen, warn)
    if not jobs:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in SUFFIXES))
        raise StartupError(f"there are no photos; looked for are {kinds}")
    paths = [path]
    if chosen.split > 1:
        paths = [path.with_name(f"{path.name}.{number}") for number in range(1, chosen.split + 1)]
    for part in paths:
        if part.exists() or journal_path(part).exists():
            raise StartupError(f"{part} or its journal exists already; remove it or choose another name")
    for part, some in zip(paths, split(jobs, chosen.split), strict=True):
        try:
            yield part, write_jobs(part, some)
        except OSError as error:
            raise StartupError(f"{part}: {error.strerror or 'exists already'}") from error


def jobs_of(chosen: argparse.Namespace, warn: Callable[[str], None]) -> list[dict[str, str]]:
    """Return what to send of each photo; raise StartupError if that cannot be known."""
    common = _common(chosen)
    if chosen.csv:
        if chosen.photos:
            raise StartupError("prepare needs photos, or --csv with a table of them, not both")
        jobs = [common | row for row in read_table(chosen.csv, chosen.delimiter)]
        return _with_meta(jobs) if chosen.skip else jobs
    rows = read_metas(chosen.meta_csv, chosen.delimiter) if chosen.meta_csv else []
    places = chosen.photos or [str(next(filter(Path.exists, places), places[0])) for _, places in rows]
    if not places:
        raise StartupError("prepare needs photos, or --csv with a table of them")
    found = [photo.resolve() for photo in find_photos(places, warn)]
    if chosen.meta_csv:
        _say_unused(chosen.meta_csv, rows, found, warn)
    rule = metas.listed(rows) if chosen.meta_csv else _rule(chosen)
    with_meta = [(photo, rule(photo)) for photo in found]
    without = [photo for photo, meta in with_meta if meta is None]
    if without and not chosen.skip:
        names = ", ".join(shown(str(photo)) for photo in without[:_SHOWN]) + (", …" if len(without) > _SHOWN else "")
        raise StartupError(f"{len(without)} photos have no meta (--skip leaves them out): {names}")
    jobs = [common | {"photo": str(photo), **({"meta": meta} if meta else {})} for photo, meta in with_meta]
    return _with_meta(jobs) if chosen.skip else jobs


def shown(name: str) -> str:
    """Return the name of a file as any terminal can show it: bytes that are no UTF-8 as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _with_meta(jobs: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out those without a meta; raise StartupError if that are all."""
    kept = [job for job in jobs if job.get("meta")]
    if jobs and not kept:
        raise StartupError(f"none of the photos has a meta: --skip leaves all of them out ({len(jobs)})")
    return kept


def _common(chosen: argparse.Namespace) -> dict[str, str]:
    """Return what is sent with every photo."""
    fields = {"galleries": chosen.galleries, "cam_id": chosen.cam_id, "mf_selector": chosen.mf_selector}
    for pair in chosen.set:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise StartupError(f"--set={pair}: is written NAME=VALUE")
        check_names([name], f"--set={pair}")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}


def _rule(chosen: argparse.Namespace) -> metas.MetaRule:
    if chosen.meta_file or chosen.meta_companion:
        return metas.companion(chosen.meta_companion or chosen.meta_suffix)
    if chosen.meta_name or chosen.meta_regex is not None:
        return metas.file_name(chosen.meta_regex if chosen.meta_regex is not None else "(?s:.+)")
    return metas.constant(chosen.meta or "")


def _say_unused(table: Path, rows: Sequence[metas.Row], found: Iterable[Path], warn: Callable[[str], None]) -> None:
    keys = {metas.key_of(photo) for photo in found}
    unused = [places for _, places in rows if not keys.intersection(map(metas.key_of, places))]
    if unused and len(unused) == len(rows):
        raise StartupError(f"{table}: none of its images is among the photos")
    if unused:
        warn(f"{table}: {len(unused)} of its images are not among the photos, {unused[0][0]} for one")
