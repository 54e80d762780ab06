"""Log files that are rotated, by this process or another: servers and shards with one configuration share one file.

Who rotates holds the file locked, and whoever finds that it has lost its name opens the one that has it now. So
logrotate may do it, too.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import sys
import time
from abc import abstractmethod
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from logging.handlers import BaseRotatingHandler, RotatingFileHandler, TimedRotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facenapi.process.private import open_log

if TYPE_CHECKING:
    from facenapi.config.options import Config

log = logging.getLogger(__name__)

RETRY_S = 3600.0  # after a rotation that failed
SILENCE_S = 60.0  # between two complaints


def file_handler(config: Config) -> logging.Handler:
    """Return the handler of the configured file; raise OSError if it cannot be written."""
    if config.log_rotate_mode == "size":
        return _BySize(
            config.log_file_prefix,
            maxBytes=config.log_file_max_size,
            backupCount=config.log_file_num_backups,
            encoding="utf-8",
        )
    return _ByTime(
        config.log_file_prefix,
        when=config.log_rotate_when,
        interval=config.log_rotate_interval,
        backupCount=config.log_file_num_backups,
        encoding="utf-8",
    )


class _Rotating(BaseRotatingHandler):
    stream: Any  # None after a rotation that failed, until it is opened again
    _no_rotation_before = _no_look_before = _no_complaint_before = 0.0  # time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line into the file that has the name now."""
        try:
            if self.stream is None:
                self.stream = self._open()
        except OSError:
            self.handleError(record)
            return
        try:
            if time.monotonic() >= self._no_look_before and self._gone():
                self._reopen()
        except OSError as error:  # its folder is gone, say: the old file is better than none
            self._no_look_before = time.monotonic() + SILENCE_S
            log.warning(
                "The log file %s cannot be opened; the one before goes on: %s", self.baseFilename, error.strerror
            )
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Rotate, unless another process has just done it. Where that fails, the file goes on."""
        if time.monotonic() < self._no_rotation_before:
            return
        try:
            file = os.dup(self.stream.fileno())  # logging closes the stream
        except OSError as error:  # none is left
            self._not_rotated(error)
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._gone():
                self._reopen()
            else:
                self.stream.flush()  # on a full disk it is this that fails, and not that logging closes the stream
                self._rotate()
        except BlockingIOError:  # whoever has it rotates, or is stopped; nobody shall wait for that, holding all up
            pass
        except OSError as error:
            self._not_rotated(error)
        finally:
            with suppress(OSError):  # a file system without locks has said so
                fcntl.flock(file, fcntl.LOCK_UN)  # a descriptor of it may be open elsewhere
            os.close(file)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say in a line, once a minute, that the file takes no more: logging would write a page for each line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif time.monotonic() >= self._no_complaint_before and sys.stderr:
            self._no_complaint_before = time.monotonic() + SILENCE_S
            with suppress(OSError):  # nobody may read it any more
                sys.stderr.write(f"The log file {self.baseFilename} cannot be written: {error.strerror or error}\n")

    @abstractmethod
    def _rotate(self) -> None:
        """Do it; raise OSError."""

    def _gone(self) -> bool:
        """Whether the name leads to another file than the one that is open, or to none."""
        mine = os.fstat(self.stream.fileno())
        try:
            there = Path(self.baseFilename).stat()
        except FileNotFoundError:
            return True
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def _reopen(self) -> None:
        new, old = self._open(), self.stream
        self.stream = new
        with suppress(OSError):  # it may have lines for which its disk has no room
            old.close()

    def _not_rotated(self, error: OSError) -> None:
        self._no_rotation_before = time.monotonic() + RETRY_S
        if self.stream is not None and self.stream.closed:
            self.stream = None
        log.warning("The log file %s cannot be rotated and goes on: %s", self.baseFilename, error.strerror)

    def _open(self) -> TextIOWrapper:
        file = BufferedWriter(FileIO(self.baseFilename, "ab", opener=open_log))
        return TextIOWrapper(file, encoding=self.encoding, errors="backslashreplace")  # names that are no text


class _BySize(_Rotating, RotatingFileHandler):
    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's name
        """Ask for the size: newer Pythons ask for the position, which a pipe has not and others leave behind."""
        there = os.fstat(self.stream.fileno())
        full = there.st_size + len(self.format(record)) + 1 >= self.maxBytes
        return stat.S_ISREG(there.st_mode) and there.st_size > 0 and full

    def _rotate(self) -> None:
        """Begin anew where none is kept: logging would let the file grow for ever."""
        if not self.backupCount:
            self.stream.truncate(0)
        RotatingFileHandler.doRollover(self)


class _ByTime(_Rotating, TimedRotatingFileHandler):
    def _rotate(self) -> None:
        """Remove the last one, too, where none is kept: logging would keep all."""
        TimedRotatingFileHandler.doRollover(self)
        if not self.backupCount:
            for path in self.getFilesToDelete():
                Path(path).unlink(missing_ok=True)

    def rotation_filename(self, default_name: str) -> str:
        """Return a name behind all of its time: where the clock was set back, logging would remove what has it."""
        time_of = default_name.removeprefix(f"{self.baseFilename}.")
        numbers = [number for when, number, _ in self._rotated() if when == time_of]
        return f"{default_name}.{max(numbers) + 1}" if numbers else default_name

    def getFilesToDelete(self) -> list[str]:  # noqa: N802 - logging's name
        """Return the oldest. Newer Pythons overlook those with a number; to older ones, 10 comes before 2."""
        rotated = self._rotated()
        return [path for _, _, path in rotated[: max(0, len(rotated) - self.backupCount)]]

    def _rotated(self) -> list[tuple[str, int, str]]:
        """Return the time, the number and the path of what was rotated, oldest first."""
        log_file, found = Path(self.baseFilename), []
        for path in log_file.parent.iterdir():
            when, _, rest = path.name.removeprefix(f"{log_file.name}.").partition(".")
            if path.name.startswith(f"{log_file.name}.") and self.extMatch.fullmatch(when):
                number = rest.partition(".")[0]  # what is behind it is of who compressed the file
                found.append((when, int(number) if number.isdecimal() else 0, str(path)))
        return sorted(found)

    def _reopen(self) -> None:
        """Do not rotate again what another process has rotated: it would take the place of what that one kept."""
        super()._reopen()
        self.rolloverAt = self.computeRollover(int(time.time()))
