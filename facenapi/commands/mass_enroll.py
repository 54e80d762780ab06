"""Enrol many photos through a server's HTTP API, each exactly once, also across interruptions.

    facenapi mass-enroll prepare --job=staff.job --meta-name --galleries=staff photos/
    facenapi mass-enroll run staff.job --url=http://127.0.0.1:8000     (the token in FACENAPI_TOKEN)
    facenapi mass-enroll print staff.job
    facenapi mass-enroll run staff.job --failed

"run" can be interrupted at any moment, kill -9 included: run again, it goes on where it was. What the server
refused (no face on the photo, say) is not tried again unless --failed asks for it.

The original's command lines are taken, too; the job file is then ffmassenroll.job unless --job says otherwise:

    findface-mass-enroll prepare --meta-companion=txt 'photos/*.jpg' 'photos/**/*.png'
    findface-mass-enroll run --api=http://127.0.0.1:8000/ --gallery=staff --age --mf-selector=all
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from facenapi.client import ApiError, Client, NoAnswer
from facenapi.commands.common import number, parser, progress
from facenapi.errors import StartupError
from facenapi.mass_enroll.jobfile import Job, Journal, State, read_jobs, read_state
from facenapi.mass_enroll.prepare import prepare, shown
from facenapi.mass_enroll.runner import Runner
from facenapi.mass_enroll.statistics import Statistics

_JOB = Path("ffmassenroll.job")
_SELECTORS = ("reject", "biggest", "all")


def main(arguments: Sequence[str]) -> int:
    """Prepare, run or print a job file; 1 if a photo was not enrolled."""
    own = parser("mass-enroll", __doc__, server_options=False)
    own.add_argument("--job", type=Path, metavar="FILE", dest="before", help=f"the job file ({_JOB})")
    actions = own.add_subparsers(metavar="ACTION", required=True)
    _describe_prepare(actions.add_parser("prepare", help="make a job file from folders, files or a CSV table"))
    _describe_run(actions.add_parser("run", help="enrol what a job file lists, or go on with it"))
    show = actions.add_parser("print", help="say how far a job file has come, and why photos failed")
    _describe_job(show)
    show.add_argument("--failed", action="store_true", help="list the photos that failed, with the reason")
    show.add_argument("--all", action="store_true", help="list all photos with their state")
    show.add_argument("--json", action="store_true",
                      help="as JSON, all or the failed; as in the original, this is so without JOB")  # fmt: skip
    show.set_defaults(action=_print)
    chosen = own.parse_args(arguments)
    status: int = chosen.action(chosen, _job_file(own, chosen))
    return status


def _describe_job(own: argparse.ArgumentParser) -> None:
    own.add_argument("job", type=Path, metavar="JOB", nargs="?", help=f"the job file ({_JOB})")
    own.add_argument("--job", type=Path, metavar="FILE", dest="named", help="the same, as an option")


def _job_file(own: argparse.ArgumentParser, chosen: argparse.Namespace) -> Path:
    named = {path for path in (chosen.before, getattr(chosen, "job", None), chosen.named) if path is not None}
    if len(named) > 1:
        own.error("two job files are named: " + " and ".join(sorted(map(str, named))))
    return named.pop() if named else _JOB


# -- prepare ------------------------------------------------------------------------------------
def _describe_prepare(own: argparse.ArgumentParser) -> None:
    own.add_argument("photos", nargs="*", metavar="PHOTO",
                     help="photos, folders full of them, and patterns: '*.jpg', '**/*.jpeg'")  # fmt: skip
    own.add_argument("--job", "-j", type=Path, dest="named", metavar="FILE", help=f"the job file to make ({_JOB})")
    meta = own.add_mutually_exclusive_group()
    meta.add_argument("--meta", "--meta-const", metavar="TEXT", help="the same meta for all")
    meta.add_argument("--meta-name", "--meta-filename", action="store_true",
                      help="meta is the file's name without suffix")  # fmt: skip
    meta.add_argument("--meta-regex", metavar="REGEX",
                      help="meta is what REGEX finds in that name: its group meta, else its first group, else all "
                           "of it")  # fmt: skip
    meta.add_argument("--meta-file", action="store_true",
                      help="meta is the first line of the text file beside each photo")  # fmt: skip
    meta.add_argument("--meta-companion", metavar="EXT", help="the same, for text files with this extension")
    meta.add_argument("--meta-csv", type=Path, metavar="TABLE",
                      help="a table of rows meta,image without names of columns; others have no meta")  # fmt: skip
    meta.add_argument("--csv", type=Path, metavar="TABLE",
                      help="a table whose first row names its columns: photo (path or URL), meta, galleries, "
                           "cam_id, and any other parameter of POST /face")  # fmt: skip
    own.add_argument("--meta-suffix", default=".txt", metavar="S",
                     help="with --meta-file: the text file of sam.jpg is samS (%(default)s)")  # fmt: skip
    own.add_argument("--delimiter", default=",", metavar="C", help="between the cells of a table (%(default)s)")
    own.add_argument("--galleries", metavar="A,B", help="galleries to put the faces in, beside default")
    own.add_argument("--cam-id", metavar="ID", help="the camera that took them")
    own.add_argument("--mf-selector", choices=_SELECTORS,
                     help="what to do with several faces on a photo (the server takes the biggest)")  # fmt: skip
    own.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                     help="any other parameter of POST /face, such as age=1; may be repeated")  # fmt: skip
    own.add_argument("--skip", action="store_true", help="leave out photos that have no meta")
    own.add_argument("--split", type=number(int, 1, 1_000_000), default=1, metavar="N",
                     help="make N job files, FILE.1 to FILE.N, to be run side by side")  # fmt: skip
    own.set_defaults(action=_prepare)


def _prepare(chosen: argparse.Namespace, path: Path) -> int:
    for part, count in prepare(chosen, path, lambda text: _note(f"facenapi: {shown(text)}")):
        print(f"{part}: {count} photos")
    return 0


# -- run ----------------------------------------------------------------------------------------
def _describe_run(own: argparse.ArgumentParser) -> None:
    _describe_job(own)
    own.add_argument("--url", "--api", default="http://127.0.0.1:8000", help="the server (%(default)s)")
    own.add_argument("--token", metavar="KEY", help="the token; rather put it into the environment variable "
                     "FACENAPI_TOKEN, where other users of the machine do not see it")  # fmt: skip
    own.add_argument(
        "--parallel",
        "-p",
        type=number(int, 1, 1_000_000),
        default=8,
        metavar="N",
        help="photos at a time (%(default)s)",
    )
    own.add_argument("--failed", action="store_true", help="try once more those that failed, too")
    own.add_argument("--gallery", default="", metavar="G", help="a gallery to put the faces in, beside the job's")
    own.add_argument("--mf-selector", choices=_SELECTORS, help="what to do with several faces on a photo")
    for name in ("gender", "age", "emotions"):
        own.add_argument(f"--{name}", action="store_true", help=f"tell the {name} of each face, too")
    own.add_argument("--create-galleries", action="store_true", help="make galleries that do not exist yet")
    own.add_argument(
        "--timeout",
        type=number(float, 0, 1_000_000),
        default=120.0,
        metavar="S",
        help="seconds for an answer (%(default)s)",
    )
    own.add_argument("--patience", type=number(float, 0, 1_000_000), default=300.0, metavar="S",
                     help="seconds for which a server that is down or busy is waited for (%(default)s)")  # fmt: skip
    own.add_argument("--stats-interval", type=number(int, 1, 1_000_000), metavar="S",
                     help="a line of figures every S seconds instead of the progress bar")  # fmt: skip
    own.add_argument("--quiet", "-q", action="store_true", help="no progress bar")
    own.set_defaults(action=_run)


def _run(chosen: argparse.Namespace, path: Path) -> int:
    token = chosen.token or os.environ.get("FACENAPI_TOKEN", "")
    if not token:
        raise StartupError("a token is needed: put it into the environment variable FACENAPI_TOKEN")
    galleries = {name for job in read_jobs(path) for name in job.fields.get("galleries", "").split(",")}
    total = sum(1 for _ in read_jobs(path))
    try:
        # What failed is tried again by the runner, who knows when that may be done.
        client = Client(chosen.url, token, timeout=chosen.timeout, retries=0,
                        headers={"User-Agent": "facenapi-mass-enroll"})  # fmt: skip
    except (ValueError, httpx.InvalidURL) as error:
        raise StartupError(str(error)) from error
    with client, Journal(path) as journal:
        try:
            _check_galleries(client, {*galleries, chosen.gallery} - {"", "default"}, create=chosen.create_galleries)
            return _work(chosen, path, client, journal, total)
        except (ApiError, NoAnswer) as error:
            raise StartupError(str(error)) from error


def _check_galleries(client: Client, wanted: set[str], *, create: bool) -> None:
    missing = sorted(wanted - set(client.galleries()))
    if missing and not create:
        raise StartupError(f"there is no gallery {missing[0]} on the server; --create-galleries makes it")
    for name in missing:
        client.add_gallery(name)


def _work(chosen: argparse.Namespace, path: Path, client: Client, journal: Journal, total: int) -> int:
    state, begin = journal.state, time.monotonic()
    before = len(state.enrolled)
    retried = set(state.failed) if chosen.failed else set()
    done = before + len(state.failed) - len(retried)
    fields = {name: "1" for name in ("gender", "age", "emotions") if getattr(chosen, name)}
    if chosen.mf_selector:
        fields["mf_selector"] = chosen.mf_selector
    quiet = chosen.quiet or chosen.stats_interval is not None
    with (
        progress(total, "photos", done=done, quiet=quiet) as bar,
        Statistics(state, total, chosen.stats_interval, _note),
    ):

        def report(error: str | None) -> None:
            if error is not None:
                bar.set_postfix(failed=len(state.failed), refresh=False)
            bar.update()

        gallery = "" if chosen.gallery == "default" else chosen.gallery
        runner = Runner(client, chosen.url, journal, fields=fields, gallery=gallery, parallel=chosen.parallel,
                        patience_s=chosen.patience, report=report)  # fmt: skip
        former = signal.signal(signal.SIGTERM, lambda *_: runner.stopping.set())
        try:
            runner.run(_open_jobs(path, state, retried))
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
    if state.failed:
        _note(f"Why photos failed: facenapi mass-enroll print {shlex.quote(shown(str(path)))} --failed")
    return 0 if len(state.enrolled) == total else 1


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _open_jobs(path: Path, state: State, retried: set[int]) -> Iterator[Job]:
    """Yield what is neither enrolled nor failed, and those of the failed that are to be tried once more."""
    for job in read_jobs(path):
        if job.number not in state.enrolled and (job.number not in state.failed or job.number in retried):
            yield job


# -- print --------------------------------------------------------------------------------------
def _print(chosen: argparse.Namespace, path: Path) -> int:
    # A reader that has seen enough (head) ends this quietly, as it does with other tools.
    former = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    state = read_state(path)
    if chosen.json or chosen.job is None:
        entries = ({"photo": job.photo, **job.fields, **_standing(job, state)} for job in read_jobs(path)
                   if not chosen.failed or job.number in state.failed)  # fmt: skip
        print("[" + ",".join(f"\n  {json.dumps(entry)}" for entry in entries) + "\n]", flush=True)
    else:
        _print_lines(chosen, path, state)
    signal.signal(signal.SIGPIPE, former)
    return 0


def _print_lines(chosen: argparse.Namespace, path: Path, state: State) -> None:
    total = 0
    for job in read_jobs(path):
        total += 1
        if chosen.all or (chosen.failed and job.number in state.failed):
            standing = _standing(job, state)
            reason = f": {standing['error']}" if "error" in standing else ""
            print(shown(f"{standing['state']:8}  {job.photo}{reason}"))
    print(_summary(state, total), flush=True)


def _standing(job: Job, state: State) -> dict[str, str]:
    """Return how far a job has come."""
    if job.number in state.failed:
        return {"state": "failed", "error": state.failed[job.number]}
    if job.number in state.enrolled:
        return {"state": "enrolled"}
    return {"state": "in doubt" if job.number in state.in_doubt else "open"}


def _summary(state: State, total: int) -> str:
    enrolled, failed = len(state.enrolled), len(state.failed)
    return (
        f"{total} photos: {enrolled} enrolled with {len(state.faces)} faces, {failed} failed, "
        f"{total - enrolled - failed} to do"
    )
