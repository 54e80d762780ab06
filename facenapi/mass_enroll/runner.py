"""Running a job file: every photo is enrolled exactly once, whatever dies in between.

A job is claimed in the journal before it is sent. When its outcome is unknown (this process was killed, the
connection broke, the server answered 5xx) the faces that the server has are looked through before it is
sent again: a face with the photo's hash and the job's meta, galleries and camera, made after the claim,
that no other job of the file has, is the job's own.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from facenapi.client import ApiError, Client, Face, FacenapiError, NoAnswer
from facenapi.client.exchange import Request
from facenapi.errors import StartupError
from facenapi.mass_enroll.jobfile import Job, Journal
from facenapi.mass_enroll.sources import read_file

# A server that lost the connection to its client still finishes the write that it has begun.
SETTLE_S = 3.0
# Face ids are times of 0.4 ms shifted by ten bits; servers' clocks may differ by this much.
_SKEW = int(5.0 * 2500) << 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_TRIES = 3
_PAGE = 1000
_FETCH_S = 30.0


@dataclass(slots=True)
class _Task:
    """A claimed job, and how it goes. ``floor``: its faces have ids above; ``doubtful``: they may be there."""

    job: Job
    floor: int
    doubtful: bool
    strikes: int = 0
    trouble: str = ""
    pause_s: float = 0.0


class Runner:
    """Sends the open jobs of a file with several threads.

    ``client`` must try nothing again by itself; ``url`` names it in messages. ``fields`` go with every job and win
    over its own; ``gallery`` ("" for none) is added to those that it names. ``report`` is called after each job,
    with its error or None, by one thread at a time.
    """

    def __init__(
        self,
        client: Client,
        url: str,
        journal: Journal,
        *,
        fields: dict[str, str],
        gallery: str,
        parallel: int,
        patience_s: float,
        report: Callable[[str | None], None],
    ) -> None:
        self._client, self._url, self._journal, self._report = client, url, journal, report
        self._fields, self._gallery = fields, gallery
        self._parallel, self._patience_s = parallel, patience_s
        self._lock = threading.Lock()
        self._claimed: list[_Task] = []
        self._newest = 0
        self._resumed = time.monotonic()
        self._abort: str | None = None
        self.stopping = threading.Event()

    def run(self, jobs: Iterator[Job]) -> None:
        """Work until there are no more jobs, or until :attr:`stopping` is set.

        Raises:
            StartupError: the server refuses us, or was not to be reached for ``patience_s``; what is
                left can be run again.
            ApiError, NoAnswer: it does not even answer the first question.
        """
        self._newest = next((face["id"] for face in self._client.faces(page_size=1)), 0)
        self._resumed = time.monotonic()
        with ThreadPoolExecutor(self._parallel, "enrol") as pool:
            for done in [pool.submit(self._work, jobs) for _ in range(self._parallel)]:
                try:
                    done.result()
                except BaseException:
                    self.stopping.set()
                    raise
        if self._abort is not None:
            raise StartupError(self._abort)

    def _work(self, jobs: Iterator[Job]) -> None:
        try:
            while not self.stopping.is_set():
                task = self._next(jobs)
                if task is None:
                    return
                self._enrol(task)
        except (StartupError, FacenapiError) as error:
            self._abort = str(error) if isinstance(error, StartupError) else f"{self._url}: {error}"
            self.stopping.set()

    def _next(self, jobs: Iterator[Job]) -> _Task | None:
        """Return a claimed job; None at the end."""
        with self._lock:
            if not self._claimed:
                block = list(itertools.islice(jobs, 2 * self._parallel))
                if not block:
                    return None
                in_doubt = self._journal.state.in_doubt
                known = {job.number for job in block if job.number in in_doubt}
                floor = max(0, self._newest - _SKEW)
                self._journal.claim([job.number for job in block], floor, self._gallery)
                self._claimed = [_Task(job, in_doubt[job.number], job.number in known) for job in reversed(block)]
            return self._claimed.pop()

    def _enrol(self, task: _Task) -> None:
        """Bring one job to its end: enrolled, or failed for good; raise StartupError if neither is possible."""
        job = task.job
        try:
            photo = None if job.is_url else read_file(Path(job.photo))
        except OSError as error:
            self._fail(job, f"{job.photo}: {error.strerror}")
            return
        if task.doubtful:
            self.stopping.wait(self._resumed + SETTLE_S - time.monotonic())
        deadline, pause = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
        while True:
            try:
                if self._attempt(task, photo):
                    return
            except NoAnswer as error:
                task.trouble = str(error)
                # A connection that was never made has carried nothing; a broken one may have carried all.
                if error.sent:
                    task.doubtful, task.pause_s = True, SETTLE_S
                else:
                    task.strikes = 0
            except ApiError as error:
                if self._refused(task, error):
                    return
            wait = max(task.pause_s, pause)
            if time.monotonic() + wait > deadline or self.stopping.wait(wait):
                raise StartupError(f"{self._url}: {task.trouble}; run it again to go on from here")
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _attempt(self, task: _Task, photo: bytes | None) -> bool:
        """Try once; return whether that settled it. Raises ApiError, NoAnswer."""
        job = task.job
        if task.doubtful and self._looked_up(task, photo):
            return True
        if task.strikes == _TRIES:
            # The server lives, for it was just asked, and does not have the face: it is this photo.
            self._fail(job, task.trouble)
            return True
        task.strikes += 1
        task.doubtful = False
        fields = job.fields | self._fields
        if self._gallery:
            fields |= {"galleries": ",".join({*_galleries(job), self._gallery})}
        request: Request[dict[str, Any]] = Request(
            "POST", "/faces", fields, {"photo": job.photo if photo is None else photo}, repeatable=False
        )
        # If a job with an equal photo looked, found our faces and took them, ours is still to be done.
        return self._keep(job, [int(face["id"]) for face in self._client.perform(request)["results"]])

    def _refused(self, task: _Task, error: ApiError) -> bool:
        """Whether a refusal settles it: the job has failed. Raises StartupError if it is not about this job."""
        if error.status in (401, 403):
            raise StartupError(f"{self._url}: {error}")
        if _final(error):
            self._fail(task.job, str(error))
            return True
        if error.status != 500:
            task.strikes = 0  # it is not this photo: the server is busy, or a part of it is away
        task.trouble, task.doubtful, task.pause_s = str(error), True, error.retry_after or 0.0
        return False

    def _looked_up(self, task: _Task, photo: bytes | None) -> bool:
        """Whether the server has the job's faces, though we did not know of it; they are noted then."""
        try:
            return self._found(task, photo)
        except ApiError as error:
            if _final(error):  # it is not the job that is refused
                raise StartupError(f"{self._url}: {error}") from error
            raise

    def _found(self, task: _Task, photo: bytes | None) -> bool:
        job, digest = task.job, "" if photo is None else _md5(photo)
        # An earlier run may have been told another gallery.
        galleries = [{"default", *_galleries(job), *filter(None, [more])} for more in self._journal.state.galleries]
        cam_id = _camera((job.fields | self._fields).get("cam_id"))
        by_request: dict[str, list[int]] = defaultdict(list)
        for face in self._faces_above(task.floor, job.fields.get("meta", "")):
            if set(face["galleries"]) not in galleries or _camera(face.get("cam_id")) != cam_id:
                continue
            if photo is None and "thumbnail" in face:  # the server keeps photos, and names its copy
                digest = digest or _md5_behind(job.photo)
            if face["photo_hash"] == digest or face["photo"] == job.photo:
                by_request[face["timestamp"]].append(face["id"])
        return any(self._keep(job, ids) for ids in by_request.values())

    def _faces_above(self, floor: int, meta: str) -> Iterator[Face]:
        faces = self._client.faces(meta=meta or None, page_size=_PAGE)
        return (face for face in itertools.takewhile(lambda face: face["id"] > floor, faces) if face["meta"] == meta)

    def _keep(self, job: Job, faces: list[int]) -> bool:
        """Note a success; false if another job, of an equal photo, was given these faces before."""
        with self._lock:
            if self._journal.state.faces.intersection(faces):
                return False
            self._journal.enrolled(job.number, faces)
            self._newest = max(self._newest, *faces)
            self._report(None)
            return True

    def _fail(self, job: Job, reason: str) -> None:
        with self._lock:
            self._journal.failed(job.number, reason)
            self._report(reason)


def _md5(photo: bytes) -> str:
    return hashlib.md5(photo, usedforsecurity=False).hexdigest()


def _md5_behind(url: str) -> str:
    """Return the hash of what is at a URL now, "-" if that cannot be had."""
    try:
        answer = httpx.get(url, timeout=_FETCH_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return "-"
    return _md5(answer.content) if answer.is_success else "-"


def _final(error: ApiError) -> bool:
    """Whether asking again would not help."""
    return 300 <= error.status < 500 and error.status not in (408, 429)


def _galleries(job: Job) -> list[str]:
    return [name for name in job.fields.get("galleries", "").split(",") if name]


def _camera(name: str | None) -> str:
    return (name or "").replace("-", "").lower()
