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

from facenapi.errors import StartupError
from facenapi.mass_enroll.client import CONNECTION_ERRORS, Client
from facenapi.mass_enroll.jobfile import Job, Journal

# A server that lost the connection to its client still finishes the write that it has begun.
SETTLE_S = 3.0
# Face ids are times of 0.4 ms shifted by ten bits; servers' clocks may differ by this much.
_SKEW = int(5.0 * 2500) << 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_TRIES = 3


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

    ``report`` is called after each job, with its error or None, by one thread at a time.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        *,
        parallel: int,
        patience_s: float,
        report: Callable[[str | None], None],
    ) -> None:
        self._client, self._journal, self._report = client, journal, report
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
        """
        self._newest = self._client.newest_face()
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
        except StartupError as error:
            self._abort = str(error)
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
                self._journal.claim([job.number for job in block], max(0, self._newest - _SKEW))
                self._claimed = [_Task(job, in_doubt[job.number], job.number in known) for job in reversed(block)]
            return self._claimed.pop()

    def _enrol(self, task: _Task) -> None:
        """Bring one job to its end: enrolled, or failed for good; raise StartupError if neither is possible."""
        job = task.job
        try:
            photo = None if job.is_url else Path(job.photo).read_bytes()
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
            except CONNECTION_ERRORS as error:
                task.trouble = str(error) or type(error).__name__
                # A refused connection has carried nothing; a broken one may have carried all.
                if isinstance(error, ConnectionRefusedError):
                    task.strikes = 0
                else:
                    task.doubtful, task.pause_s = True, SETTLE_S
            wait = max(task.pause_s, pause)
            if time.monotonic() + wait > deadline or self.stopping.wait(wait):
                raise StartupError(f"{self._client.url}: {task.trouble}; run it again to go on from here")
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _attempt(self, task: _Task, photo: bytes | None) -> bool:
        """Try once; return whether that settled it. Raises CONNECTION_ERRORS, StartupError."""
        job = task.job
        if task.doubtful and self._found(task, photo):
            return True
        if task.strikes == _TRIES:
            # The server lives, for it was just asked, and does not have the face: it is this photo.
            self._fail(job, task.trouble)
            return True
        task.strikes += 1
        task.doubtful = False
        reply = self._client.post_face(job.fields | ({"photo": job.photo} if job.is_url else {}), photo)
        if reply.status == 200:
            # If a job with an equal photo looked, found our faces and took them, ours is still to be done.
            return self._keep(job, [int(face["id"]) for face in reply.body["results"]])
        if reply.status in (401, 403):
            raise StartupError(f"{self._client.url}: {reply.reason}")
        if 300 <= reply.status < 500 and reply.status not in (408, 429):
            self._fail(job, reply.reason)
            return True
        if reply.status != 500:
            task.strikes = 0  # it is not this photo: the server is busy, or a part of it is away
        task.trouble, task.doubtful, task.pause_s = reply.reason, True, reply.retry_after_s
        return False

    def _found(self, task: _Task, photo: bytes | None) -> bool:
        """Whether the server has the job's faces, though we do not know of it; they are noted then."""
        job = task.job
        digest = "" if photo is None else hashlib.md5(photo, usedforsecurity=False).hexdigest()
        galleries = {"default", *filter(None, job.fields.get("galleries", "").split(","))}
        by_request: dict[str, list[int]] = defaultdict(list)
        for face in self._client.faces_above(task.floor, job.fields.get("meta", "")):
            same_photo = face["photo"] == job.photo if job.is_url else face["photo_hash"] == digest
            if same_photo and set(face["galleries"]) == galleries and _camera(face) == _camera(job.fields):
                by_request[face["timestamp"]].append(int(face["id"]))
        return any(self._keep(job, ids) for ids in by_request.values())

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


def _camera(fields: dict[str, Any]) -> str:
    return str(fields.get("cam_id", "")).replace("-", "").lower()
