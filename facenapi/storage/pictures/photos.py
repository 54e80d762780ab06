"""Where kept photos live: files in a folder, or a WebDAV server. Names are flat, unguessable and never reused.

A name is ``OWNER-HOUR-TOKEN.jpg``: a digest of the owner, the hour in which it was made (YYYYMMDDHH, UTC), and
128 random bits. What is written has reached the disk (or the other server) when ``put`` returns.

A WebDAV server need not be able to list what it has, so the names of all files that were sent there are noted on
this machine's disk before: what a crash or an outage left behind can be found.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

from facenapi.errors import StartupError, Unavailable
from facenapi.process.calls import CALL_ERRORS
from facenapi.process.durable import sync
from facenapi.process.workers import Workers

log = logging.getLogger(__name__)

T = TypeVar("T")


class PhotoFiles(Protocol):
    """A place for files. Raises Unavailable when it cannot be reached or written."""

    async def start(self) -> None:
        """Open it; raise StartupError."""

    async def close(self) -> None:
        """Let go of it."""

    async def put(self, name: str, data: bytes) -> None:
        """Keep a file, durably."""

    async def get(self, name: str) -> bytes | None:
        """Return a file, None if there is none."""

    async def delete(self, name: str) -> None:
        """Remove a file; none is no error."""


class ListedFiles(PhotoFiles, Protocol):
    """Files of which this machine knows the names, below ``folder``."""

    folder: Path

    def batches(self, owner: str, before: float) -> list[tuple[float, list[str]]]:
        """Return when an hour began and the names of an owner's files in it older than ``before``, for each hour.

        Blocks. Times are in seconds since 1970. Raises Unavailable.
        """


class FolderFiles:
    """Files below a folder, in one folder per owner and hour."""

    def __init__(self, folder: Path, threads: int = 4, limit: int = 256) -> None:
        self.folder = folder
        self._workers = Workers("photos", threads, limit)

    async def start(self) -> None:
        """Make the folder; raise StartupError if that cannot be."""
        try:
            await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartupError(f"Photos cannot be kept in {self.folder}: {error.strerror}") from error

    async def close(self) -> None:
        """Finish what is being written."""
        await asyncio.to_thread(self._workers.close)

    async def put(self, name: str, data: bytes) -> None:
        """Write a new file through to the disk."""
        await self._run(_write, self._path(name), data)

    async def get(self, name: str) -> bytes | None:
        """Read a file."""
        return await self._run(_read, self._path(name))

    async def delete(self, name: str) -> None:
        """Remove a file, and the folder of its hour if it was the last."""
        await self._run(_remove, self._path(name))

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            return await self._workers.run(work, *arguments)
        except OSError as error:
            raise Unavailable("The photos on disk cannot be reached", str(error.strerror)) from error

    def _path(self, name: str) -> Path:
        owner, hour, _ = name.split("-", 2)
        return self.folder / owner / hour / name

    def batches(self, owner: str, before: float) -> list[tuple[float, list[str]]]:
        """Return when an hour began and the names of an owner's files in it older than ``before``, for each hour."""
        try:
            hours = [(_start_of(hour.name), hour) for hour in sorted((self.folder / owner).glob("*"))]
            found = [(start, _older(hour, before)) for start, hour in hours if start is not None]
        except OSError as error:
            raise Unavailable("The photos on disk cannot be reached", str(error.strerror)) from error
        return [(start, names) for start, names in found if names]


def _start_of(hour: str) -> float | None:
    """Return when an hour began, in seconds since 1970; None if the name of a folder is no hour."""
    try:
        return datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _older(hour: Path, before: float) -> list[str]:
    """Return the names of our files in a folder that are older; what goes meanwhile is left out."""
    names = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(hour) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                ours = entry.name.startswith(f"{hour.parent.name}-{hour.name}-") and entry.is_file()
                if ours and entry.stat().st_mtime < before:
                    names.append(entry.name)
    return names


def _write(path: Path, data: bytes) -> None:
    file = _create(path)
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            _remove(path)
        raise


def _create(path: Path, tries: int = 5) -> BinaryIO:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("xb")
    except (FileNotFoundError, FileExistsError):  # the folder was empty, and has just been removed for that
        if tries == 1:
            raise
        return _create(path, tries - 1)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is not empty
        path.parent.rmdir()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


class WebDavFiles:
    """Files on a WebDAV server, by PUT, GET and DELETE below a URL; no folders are made there.

    ``url``: without the ``user:password@`` that the one given may have; it is sent as basic authentication.
    ``notes``: a folder on this machine, where each of them has an empty file of its name.
    """

    def __init__(self, url: str, timeout_s: float, max_clients: int, notes: Path) -> None:
        self.url, self._user, self._password = split_credentials(url.rstrip("/"))
        if not self.url.startswith(("http://", "https://")) or not urlsplit(self.url).hostname:
            raise StartupError("photo_storage=webdav needs ffupload_url, http://host/folder/")
        self._timeout_s = timeout_s
        self._max_clients = max_clients
        self._client: AsyncHTTPClient | None = None
        self._notes = FolderFiles(notes)
        self.folder = notes

    async def start(self) -> None:
        """Make the client, and the folder of notes; raise StartupError if that cannot be."""
        await self._notes.start()
        self._client = SimpleAsyncHTTPClient(force_instance=True, max_clients=self._max_clients)

    async def close(self) -> None:
        """Drop the connections."""
        if self._client is not None:
            self._client.close()
        await self._notes.close()

    async def put(self, name: str, data: bytes) -> None:
        """PUT a file, once its name is noted."""
        await self._notes.put(name, b"")
        await self._ask("PUT", name, data)

    async def get(self, name: str) -> bytes | None:
        """GET a file."""
        return await self._ask("GET", name)

    async def delete(self, name: str) -> None:
        """DELETE a file, and then its note; if that fails, it is noted here, whichever machine sent it."""
        try:
            await self._ask("DELETE", name)
        except Unavailable:
            if await self._notes.get(name) is None:
                await self._notes.put(name, b"")
            raise
        await self._notes.delete(name)

    def batches(self, owner: str, before: float) -> list[tuple[float, list[str]]]:
        """Return when an hour began and the names of an owner's noted files in it, for each hour."""
        return self._notes.batches(owner, before)

    async def _ask(self, method: str, name: str, data: bytes | None = None) -> bytes | None:
        if self._client is None:
            raise Unavailable("The photo storage is not open")
        request = HTTPRequest(
            f"{self.url}/{name}",
            method,
            body=data,
            request_timeout=self._timeout_s,
            follow_redirects=False,
            auth_username=self._user,
            auth_password=self._password,
        )
        try:
            return (await self._client.fetch(request)).body
        except CALL_ERRORS as error:
            if not isinstance(error, HTTPClientError) or isinstance(error, HTTPTimeoutError):
                raise Unavailable("The photo storage cannot be reached") from error
            if error.code == 404 and method != "PUT":
                return None
            log.warning("%s of a photo: the photo storage answered %s", method, error)
            raise Unavailable("The photo storage refused a photo") from error


def split_credentials(url: str) -> tuple[str, str | None, str | None]:
    """Return a URL without its ``user:password@``, the user and the password; raise StartupError if it is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for one that there cannot be
    except ValueError as error:
        raise StartupError("ffupload_url and upload_path must be URLs") from error
    if "@" not in parts.netloc:
        return url, None, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, unquote(parts.username or ""), unquote(parts.password or "")
