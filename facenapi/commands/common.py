"""What commands share: options of their own beside those of the server, progress on the terminal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import pwd
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from facenapi.config.options import Config
from facenapi.config.reader import ConfigError, joined, load
from facenapi.errors import StartupError
from facenapi.process.logs import set_level
from facenapi.process.private import become_owner

log = logging.getLogger(__name__)

T = TypeVar("T", int, float)

SERVER_OPTIONS = """\
Options of the server say which installation is meant: --config=PATH (default: /etc/findface-facenapi.ini if
it exists), --data_dir=DIR, ... ; facenapi --help-options lists them."""

EXIT_STATUS = """\
Exit status: 0 done; 1 it failed, with the reason in one line; 2 wrong usage; 78 wrong configuration."""


def parser(name: str, text: str | None, *, server_options: bool = True) -> argparse.ArgumentParser:
    """Return a parser for ``facenapi NAME`` that explains itself by ``text``."""
    return argparse.ArgumentParser(
        f"facenapi {name}",
        description=text,
        epilog="\n\n".join([SERVER_OPTIONS, EXIT_STATUS] if server_options else [EXIT_STATUS]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parse(
    own: argparse.ArgumentParser, arguments: Sequence[str], *, as_owner: bool = True
) -> tuple[argparse.Namespace, Config]:
    """Return a command's own options, and the configuration made of all others.

    Root becomes the owner of the data folder then, but for a command that writes elsewhere (not ``as_owner``).

    Raises:
        ConfigError: the others are no options of the server, or its file is wrong.
    """
    words = joined(arguments)
    _, others = own.parse_known_args(words)
    # Apart first: argparse takes an optional word for missing where an unknown option stands before it.
    server = [word for word in others if word.startswith("--")]
    chosen, rest = own.parse_known_args([word for word in words if word not in server])
    if rest:
        own.error(f"unrecognized arguments: {' '.join(rest)}")
    config, _ = load(server)
    if as_owner:
        become_owner(Path(config.data_dir))
    return chosen, config


def read_again(arguments: Sequence[str], adopt: Callable[[Config], tuple[list[str], list[str]]]) -> None:
    """Read the configuration of a running process again, on SIGHUP; a mistake in it changes nothing.

    ``adopt``: takes over what it can, and returns what changed and what needs a restart.
    """
    try:
        config, _ = load(arguments)
    except ConfigError as error:
        for line in error.lines:
            log.error("Not reloaded: %s", line)  # noqa: TRY400 - the line says it all
        return
    changed, restart = adopt(config)
    set_level(config)
    log.info("Reloaded; changed: %s", ", ".join(changed) or "nothing")
    if restart:
        log.warning("These options change with a restart only: %s", ", ".join(restart))


def on_signal(stop: asyncio.Event) -> None:
    """Ask for the end; the second time end at once, whatever a thread is at: networks that are being loaded, say."""
    if stop.is_set():
        logging.shutdown()
        os._exit(1)
    stop.set()


def own_name() -> str:
    """Return the name of the user that this process is."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def check_readable(path: Path) -> None:
    """Raise StartupError if that cannot be read by the user that :func:`parse` may have made of root."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError as error:
        user = own_name()
        raise StartupError(
            f"{path} cannot be read by {user}, as whom this works: chown -R {user} it, or a copy where {user} gets to"
        ) from error
    except OSError as error:
        raise StartupError(f"{path}: {error.strerror}") from error


def number(kind: type[T], least: T, most: T) -> Callable[[str], T]:
    """Return what reads an option's number in a range, and says what it must be."""

    def read(text: str) -> T:
        with suppress(ValueError):
            if least <= (value := kind(text)) <= most:
                return value
        what = "whole number" if kind is int else "number"
        raise argparse.ArgumentTypeError(f"must be a {what} from {least} to {most}: {text!r}")

    return read


def progress(total: int | None, unit: str, *, done: int = 0, quiet: bool = False) -> tqdm[Any]:
    """Return a bar with rate and remaining time on standard error; nothing is drawn unless it is a terminal."""
    return tqdm(
        total=total,
        initial=done,
        unit=f" {unit}",
        file=sys.stderr,
        disable=True if quiet else None,
        dynamic_ncols=True,
        smoothing=0.05,
    )
