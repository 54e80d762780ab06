"""Enrol many photos through a server's HTTP API, each exactly once, also across interruptions.

    facenapi mass-enroll prepare --job=staff.job --meta-name --galleries=staff photos/
    facenapi mass-enroll run staff.job --url=http://127.0.0.1:8000     (the token in FACENAPI_TOKEN)
    facenapi mass-enroll print staff.job
    facenapi mass-enroll run staff.job --failed

"run" can be interrupted at any moment, kill -9 included: run again, it goes on where it was. What the server
refused (no face on the photo, say) is not tried again unless --failed asks for it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from facenapi.commands.common import parser, progress
from facenapi.errors import StartupError
from facenapi.mass_enroll import sources
from facenapi.mass_enroll.client import CONNECTION_ERRORS, Client
from facenapi.mass_enroll.jobfile import Job, Journal, State, journal_path, read_jobs, read_state, split, write_jobs
from facenapi.mass_enroll.runner import Runner

_SHOWN = 10


def main(arguments: Sequence[str]) -> int:
    """Prepare, run or print a job file; 1 if a photo was not enrolled."""
    own = parser("mass-enroll", __doc__, server_options=False)
    actions = own.add_subparsers(metavar="ACTION", required=True)
    _describe_prepare(actions.add_parser("prepare", help="make a job file from folders, files or a CSV table"))
    _describe_run(actions.add_parser("run", help="enrol what a job file lists, or go on with it"))
    show = actions.add_parser("print", help="say how far a job file has come, and why photos failed")
    show.add_argument("job", type=Path, metavar="JOB", help="the job file")
    show.add_argument("--failed", action="store_true", help="list the photos that failed, with the reason")
    show.add_argument("--all", action="store_true", help="list all photos with their state")
    show.set_defaults(action=_print)
    chosen = own.parse_args(arguments)
    status: int = chosen.action(chosen)
    return status


# -- prepare ------------------------------------------------------------------------------------
def _describe_prepare(own: argparse.ArgumentParser) -> None:
    own.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="photos, and folders full of them")
    own.add_argument("--job", "-j", type=Path, required=True, metavar="FILE", help="the job file to make")
    meta = own.add_mutually_exclusive_group()
    meta.add_argument("--meta", metavar="TEXT", help="the same meta for all")
    meta.add_argument("--meta-name", action="store_true", help="meta is the file's name without suffix")
    meta.add_argument("--meta-regex", metavar="REGEX",
                      help="meta is what REGEX finds in that name: its group meta, else its first group, else all "
                           "of it")  # fmt: skip
    meta.add_argument("--meta-file", action="store_true",
                      help="meta is the first line of the text file beside each photo")  # fmt: skip
    meta.add_argument("--csv", type=Path, metavar="TABLE",
                      help="a table whose first row names its columns: photo (path or URL), meta, galleries, "
                           "cam_id, and any other parameter of POST /face")  # fmt: skip
    own.add_argument("--meta-suffix", default=".txt", metavar="S",
                     help="with --meta-file: the text file of sam.jpg is samS (%(default)s)")  # fmt: skip
    own.add_argument("--delimiter", default=",", metavar="C", help="between the cells of the table (%(default)s)")
    own.add_argument("--galleries", metavar="A,B", help="galleries to put the faces in, beside default")
    own.add_argument("--cam-id", metavar="ID", help="the camera that took them")
    own.add_argument("--mf-selector", choices=("reject", "biggest", "all"),
                     help="what to do with several faces on a photo (the server takes the biggest)")  # fmt: skip
    own.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                     help="any other parameter of POST /face, such as age=1; may be repeated")  # fmt: skip
    own.add_argument("--skip", action="store_true", help="leave out photos that have no meta, instead of refusing")
    own.add_argument("--split", type=_positive, default=1, metavar="N",
                     help="make N job files, FILE.1 to FILE.N, to be run side by side")  # fmt: skip
    own.set_defaults(action=_prepare)


def _prepare(chosen: argparse.Namespace) -> int:
    if bool(chosen.photos) == bool(chosen.csv):
        raise StartupError("prepare needs photos, or --csv with a table of them")
    jobs = _jobs(chosen)
    if not jobs:
        raise StartupError("there are no photos: JPEG, PNG and WebP files are looked for")
    paths = [chosen.job]
    if chosen.split > 1:
        paths = [chosen.job.with_name(f"{chosen.job.name}.{number}") for number in range(1, chosen.split + 1)]
    for path in paths:
        if path.exists() or journal_path(path).exists():
            raise StartupError(f"{path} or its journal exists already; remove it or choose another name")
    for path, part in zip(paths, split(jobs, chosen.split), strict=True):
        try:
            print(f"{path}: {write_jobs(path, part)} photos")
        except OSError as error:
            raise StartupError(f"{path}: {error.strerror}") from error
    return 0


def _jobs(chosen: argparse.Namespace) -> list[dict[str, str]]:
    fields = {"galleries": chosen.galleries, "cam_id": chosen.cam_id, "mf_selector": chosen.mf_selector}
    for pair in chosen.set:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise StartupError(f"--set={pair}: is written NAME=VALUE")
        fields[name] = value
    common = {name: value for name, value in fields.items() if value}
    if chosen.csv:
        return [common | row for row in sources.read_table(chosen.csv, chosen.delimiter)]
    rule = _meta_rule(chosen)
    found = [(photo.resolve(), rule(photo)) for photo in sources.find_photos(chosen.photos)]
    without = [photo for photo, meta in found if meta is None]
    if without and not chosen.skip:
        names = ", ".join(map(str, without[:_SHOWN])) + (", …" if len(without) > _SHOWN else "")
        raise StartupError(f"{len(without)} photos have no meta (--skip leaves them out): {names}")
    return [common | {"photo": str(photo), **({"meta": meta} if meta else {})}
            for photo, meta in found if meta is not None]  # fmt: skip


def _meta_rule(chosen: argparse.Namespace) -> sources.MetaRule:
    if chosen.meta_file:
        return sources.companion(chosen.meta_suffix)
    if chosen.meta_name or chosen.meta_regex is not None:
        return sources.file_name(chosen.meta_regex if chosen.meta_regex is not None else ".+")
    return sources.constant(chosen.meta or "")


# -- run ----------------------------------------------------------------------------------------
def _describe_run(own: argparse.ArgumentParser) -> None:
    own.add_argument("job", type=Path, metavar="JOB", help="the job file")
    own.add_argument("--url", default="http://127.0.0.1:8000", help="the server (%(default)s)")
    own.add_argument("--token", metavar="KEY", help="the token; rather put it into the environment variable "
                     "FACENAPI_TOKEN, where other users of the machine do not see it")  # fmt: skip
    own.add_argument(
        "--parallel", "-p", type=_positive, default=8, metavar="N", help="photos at a time (%(default)s)"
    )
    own.add_argument("--failed", action="store_true", help="try once more those that failed, and only those")
    own.add_argument("--create-galleries", action="store_true", help="make galleries that do not exist yet")
    own.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds for an answer (%(default)s)")
    own.add_argument("--patience", type=float, default=300.0, metavar="S",
                     help="seconds for which a server that is down or busy is waited for (%(default)s)")  # fmt: skip
    own.add_argument("--quiet", "-q", action="store_true", help="no progress bar")
    own.set_defaults(action=_run)


def _run(chosen: argparse.Namespace) -> int:
    token = chosen.token or os.environ.get("FACENAPI_TOKEN", "")
    if not token:
        raise StartupError("a token is needed: put it into the environment variable FACENAPI_TOKEN")
    client = Client(chosen.url, token, chosen.timeout)
    galleries = {name for job in read_jobs(chosen.job) for name in job.fields.get("galleries", "").split(",") if name}
    total = sum(1 for _ in read_jobs(chosen.job))
    journal = Journal(chosen.job)
    try:
        _check_galleries(client, galleries, create=chosen.create_galleries)
        return _work(chosen, client, journal, total)
    except CONNECTION_ERRORS as error:
        raise StartupError(f"{client.url} cannot be reached: {error}") from error
    finally:
        client.close()
        journal.close()


def _check_galleries(client: Client, wanted: set[str], *, create: bool) -> None:
    missing = sorted(wanted - set(client.galleries()))
    if missing and not create:
        raise StartupError(f"there is no gallery {missing[0]} on the server; --create-galleries makes it")
    for name in missing:
        client.add_gallery(name)


def _work(chosen: argparse.Namespace, client: Client, journal: Journal, total: int) -> int:
    state, begin = journal.state, time.monotonic()
    before = len(state.enrolled)
    retried = set(state.failed) | set(state.in_doubt) if chosen.failed else None
    done = before + (0 if chosen.failed else len(state.failed))
    with progress(total, "photos", done=done, quiet=chosen.quiet) as bar:

        def report(error: str | None) -> None:
            if error is not None:
                bar.set_postfix(failed=len(state.failed), refresh=False)
            bar.update()

        runner = Runner(client, journal, parallel=chosen.parallel, patience_s=chosen.patience, report=report)
        former = signal.signal(signal.SIGTERM, lambda *_: runner.stopping.set())
        try:
            runner.run(_open_jobs(chosen.job, state, retried))
        finally:
            signal.signal(signal.SIGTERM, former)
            bar.close()
            seconds = time.monotonic() - begin
            enrolled = len(state.enrolled) - before
            print(_summary(state, total), file=sys.stderr)
            print(
                f"This run: {enrolled} enrolled in {seconds:.1f} s, {enrolled / seconds:.1f} photos/s",
                file=sys.stderr,
            )
    return 0 if len(state.enrolled) == total else 1


def _open_jobs(path: Path, state: State, retried: set[int] | None) -> Iterator[Job]:
    """Yield what is to be done: ``retried``, or all that is neither enrolled nor failed."""
    for job in read_jobs(path):
        settled = job.number in state.enrolled or job.number in state.failed
        if not settled if retried is None else job.number in retried:
            yield job


# -- print --------------------------------------------------------------------------------------
def _print(chosen: argparse.Namespace) -> int:
    # A reader that has seen enough (head) ends this quietly, as it does with other tools.
    former = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    state, total = read_state(chosen.job), 0
    for job in read_jobs(chosen.job):
        total += 1
        if job.number in state.failed:
            line = f"failed    {job.photo}: {state.failed[job.number]}"
        elif job.number in state.enrolled:
            line = f"enrolled  {job.photo}"
        else:
            line = f"{'in doubt' if job.number in state.in_doubt else 'open':8}  {job.photo}"
        if chosen.all or (chosen.failed and job.number in state.failed):
            print(line)
    print(_summary(state, total), flush=True)
    signal.signal(signal.SIGPIPE, former)
    return 0


def _summary(state: State, total: int) -> str:
    enrolled, failed = len(state.enrolled), len(state.failed)
    return (
        f"{total} photos: {enrolled} enrolled with {len(state.faces)} faces, {failed} failed, "
        f"{total - enrolled - failed} to do"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
