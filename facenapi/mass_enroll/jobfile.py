"""The job file of a mass enrolment, and the journal beside it that survives kill -9.

A job file has one JSON object per line: first ``{"facenapi_mass_enroll": 1}``, then one line for each
photo, ``{"photo": PATH or URL, "meta": …, …}``; what is not ``photo`` is sent as a parameter of POST /face.

The journal, ``FILE.journal``, grows by a line for each event. The last line about a job counts:

====================================  ==================================================================
``{"claim": [n, …], "floor": id}``    these are being sent. If nothing follows, nobody knows whether they
                                      arrived; a face of theirs can only have an id above ``floor``.
                                      ``"gallery"``: where they are put beside what the job says
``{"job": n, "faces": [id, …]}``      enrolled
``{"job": n, "error": "…"}``          the server refused it, or it could not be read
====================================  ==================================================================
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facenapi.errors import StartupError
from facenapi.process.durable import sync

_HEADER = {"facenapi_mass_enroll": 1}


@dataclass(frozen=True, slots=True)
class Job:
    """A photo to enrol, a path or an http(s) URL, and the parameters that go with it."""

    number: int
    photo: str
    fields: dict[str, str]

    @property
    def is_url(self) -> bool:
        """Whether the server shall fetch the photo."""
        return self.photo.startswith(("http://", "https://"))


@dataclass(slots=True)
class State:
    """What a journal says. Jobs that it does not mention have never been sent."""

    enrolled: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    in_doubt: dict[int, int] = field(default_factory=dict)  # job: floor of the ids its faces can have
    faces: set[int] = field(default_factory=set)
    galleries: set[str] = field(default_factory=set)  # that runs have added, "" if one has added none

    def take(self, entry: dict[str, Any]) -> None:
        """Take one line of the journal."""
        if "claim" in entry:
            self.galleries.add(entry.get("gallery", ""))
            for number in entry["claim"]:
                self.failed.pop(number, None)
                # A job that was in doubt before may have been stored then.
                floor = int(entry["floor"])
                self.in_doubt[number] = min(floor, self.in_doubt.get(number, floor))
            return
        number = entry["job"]
        self.in_doubt.pop(number, None)
        if "faces" in entry:
            self.enrolled.add(number)
            self.faces.update(entry["faces"])
        else:
            self.failed[number] = str(entry["error"])


def write_jobs(path: Path, jobs: Iterable[dict[str, str]]) -> int:
    """Write a job file and return how many jobs it has. Whatever ends this, the file is there whole or not at all.

    Raises:
        FileExistsError: there is one already; its journal would not fit another.
        OSError: it cannot be written.
    """
    count = 0
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Names that are not UTF-8 come back from JSON's escapes as they were.
        with unfinished.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps(_HEADER) + "\n")
            for job in jobs:
                count += 1
                file.write(json.dumps(job, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _appear(unfinished, path)
        sync(path.absolute().parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _appear(unfinished: Path, path: Path) -> None:
    """Give a finished file its name, which nobody may have."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:  # no hard links there: a memory card, say
        if path.exists():
            raise FileExistsError(path) from None
        unfinished.rename(path)


def read_jobs(path: Path) -> Iterator[Job]:
    """Yield the jobs of a file; raise StartupError if it is none."""
    try:
        with path.open(encoding="utf-8") as file:
            if json.loads(next(file, "null")) != _HEADER:
                raise StartupError(f"{path} is not a job file: facenapi mass-enroll prepare makes one")
            for number, line in enumerate(file):
                entry = json.loads(line)
                yield Job(number, entry.pop("photo"), entry)
    except OSError as error:
        raise StartupError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise StartupError(f"{path} is damaged: prepare it again") from error


def journal_path(path: Path) -> Path:
    """Return where the journal of a job file lies."""
    return path.with_name(path.name + ".journal")


def read_state(path: Path) -> State:
    """Return what has happened to the jobs of a file so far; raise StartupError if that cannot be read."""
    state = State()
    try:
        content = journal_path(path).read_bytes()
    except FileNotFoundError:
        return state
    # A line that a crash cut short has no end.
    *lines, _ = content.split(b"\n")
    try:
        for line in lines:
            state.take(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise StartupError(f"{journal_path(path)} is damaged") from error
    return state


class Journal:
    """The journal, opened for writing by one process at a time; for use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open it; raise StartupError if another process has it, or if it cannot be written."""
        self._path = journal_path(path)
        self._lock = threading.Lock()
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StartupError(f"{path} is being run by another process") from None
        except OSError as error:
            raise StartupError(f"{self._path}: {error.strerror}") from error
        content = self._path.read_bytes()
        os.truncate(self._file, content.rfind(b"\n") + 1)
        self.state = read_state(path)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def claim(self, numbers: list[int], floor: int, gallery: str = "") -> None:
        """Note that jobs are about to be sent. On disk when this returns, whatever happens next."""
        self._write({"claim": numbers, "floor": floor} | ({"gallery": gallery} if gallery else {}))
        os.fsync(self._file)

    def enrolled(self, number: int, faces: list[int]) -> None:
        """Note a success."""
        self._write({"job": number, "faces": faces})

    def failed(self, number: int, reason: str) -> None:
        """Note a failure that a repetition would not mend."""
        self._write({"job": number, "error": reason})

    def close(self) -> None:
        """Close the file, and let others have it."""
        os.fsync(self._file)
        os.close(self._file)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            self.state.take(entry)
            before = os.fstat(self._file).st_size
            try:
                while line:
                    line = line[os.write(self._file, line) :]
            except OSError:  # on a full disk half a line may be there, behind which no other must stand
                os.ftruncate(self._file, before)
                raise


def split(jobs: list[dict[str, str]], parts: int) -> list[list[dict[str, str]]]:
    """Deal jobs out to so many lists, as even as can be.

    >>> [len(part) for part in split([{"photo": str(n)} for n in range(10)], 3)]
    [4, 3, 3]
    """
    return [list(itertools.islice(jobs, first, None, parts)) for first in range(parts)]
