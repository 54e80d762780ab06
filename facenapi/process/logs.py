"""Where the log goes, by Tornado's own logging options."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from facenapi.errors import StartupError
from facenapi.process.log_files import file_handler

if TYPE_CHECKING:
    from facenapi.config.options import Config

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Fields(dict[str, Any]):
    """A message of named values: ``name=value name=value`` as text, members of their own in JSON."""

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.items())


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        line |= record.msg if isinstance(record.msg, Fields) else {"message": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logging(config: Config) -> None:
    """Send the log to standard error, to a file, or both. Raises StartupError if the file cannot be written."""
    logging.getLogger("tornado.general").addFilter(_without_content)
    if config.logging == "none":
        return
    set_level(config)
    root = logging.getLogger()
    logging.captureWarnings(True)
    handlers: list[logging.Handler] = []
    if config.log_to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    if config.log_file_prefix:
        try:
            handlers.append(file_handler(config))
        except OSError as error:
            raise StartupError(
                f"The log file {config.log_file_prefix} cannot be written: {error.strerror}"
            ) from error
    formatter = JsonFormatter() if config.log_format == "json" else logging.Formatter(FORMAT)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)


def _without_content(record: logging.LogRecord) -> bool:
    """Take what the client sent out of Tornado's note of a request that it cannot read: a token may be in it."""
    if record.msg == "Malformed HTTP message from %s: %s" and isinstance(record.args, tuple):
        record.msg, record.args = "Malformed HTTP message from %s", record.args[:1]
    return True


def set_level(config: Config) -> None:
    """Log from the configured level on."""
    if config.logging != "none":
        logging.getLogger().setLevel(config.logging.upper())
