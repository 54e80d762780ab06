"""Where the log goes, by Tornado's own logging options."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from typing import TYPE_CHECKING

from facenapi.errors import StartupError

if TYPE_CHECKING:
    from facenapi.config.options import Config

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


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
            handlers.append(_file_handler(config))
        except OSError as error:
            raise StartupError(
                f"The log file {config.log_file_prefix} cannot be written: {error.strerror}"
            ) from error
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
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


def _file_handler(config: Config) -> logging.Handler:
    if config.log_rotate_mode == "size":
        return RotatingFileHandler(
            config.log_file_prefix,
            maxBytes=config.log_file_max_size,
            backupCount=config.log_file_num_backups,
            encoding="utf-8",
        )
    return TimedRotatingFileHandler(
        config.log_file_prefix,
        when=config.log_rotate_when,
        interval=config.log_rotate_interval,
        backupCount=config.log_file_num_backups,
        encoding="utf-8",
    )
