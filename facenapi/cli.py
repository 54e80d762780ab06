"""The command line: ``facenapi [COMMAND] [--option=value …]``. Without a command it serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper

from facenapi import __version__
from facenapi.config.reader import EXIT_CONFIG, ConfigError, joined
from facenapi.config.text import help_text, sample_file
from facenapi.errors import ApiError, StartupError
from facenapi.process.private import keep_private

# Module and function of each; a command loads what it needs, not what the others need.
COMMANDS = {
    "serve": "serve:main",
    "shard": "shard:main",
    "check": "check:main",
    "token": "token:main",
    "mass-enroll": "mass_enroll:main",
    "backup": "backup:backup_main",
    "restore": "backup:restore_main",
    "export": "transfer:export_main",
    "import": "transfer:import_main",
    "expire": "expire:main",
    "regenerate": "regenerate:main",
    "models": "models:main",
    "api-page": "api_page:main",
}

USAGE = """\
Usage: facenapi [COMMAND] [--config=PATH] [--option=value ...]

Commands:
  serve        run the server (this is what happens without a command)
  shard        run a search shard, for installations with several
  check        say what is wrong with an installation, before or while it runs
  token        create, list and revoke tokens
  mass-enroll  enrol many photos, resumable
  backup       copy the embedded database and the kept photos while the server runs
  restore      put such a copy back
  export       write everything of an owner to a file
  import       bring such a file into a store
  expire       delete old history
  regenerate   give stored faces the vectors of another model pack
  models       list, build and verify model packs
  api-page     fetch what the page at /docs/v1/try is made of

Every option can also be set in the environment: FACENAPI_PORT=8001, or FACENAPI_MONGO_URI_FILE=/run/secrets/uri.
facenapi COMMAND --help tells more. facenapi --help-options lists all options, facenapi --sample-config
writes them as a commented configuration file.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, 1 for a failure, 78 for a configuration error."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _open_standard_streams()
    keep_private()
    if isinstance(sys.stdout, TextIOWrapper):  # what a terminal's encoding lacks is written as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    name, fault = _take_name(arguments)
    if fault:
        print(f"facenapi: {fault}", file=sys.stderr)
        return 2
    text = _answer(arguments) if name == "serve" else ""
    try:
        if text:
            print(text.rstrip("\n"), flush=True)
            return 0
        return _command(name)(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (StartupError, ApiError) as error:
        print(f"facenapi: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return _reader_is_gone()
        # What nobody caught before is about a file that may not be read or written; one line says which.
        place = f"{error.filename}: " if error.filename else ""
        print(f"facenapi: {place}{error.strerror or error}", file=sys.stderr)
        return 1


def _take_name(arguments: list[str]) -> tuple[str, str]:
    """Take the command off the words, and return it with what is wrong with it."""
    if arguments and not arguments[0].startswith("-"):
        name = arguments.pop(0)
        return name, "" if name in COMMANDS else f"there is no command {name}\n\n{USAGE}"
    late = next((word for word in joined(arguments) if word in COMMANDS), None)
    return "serve", f"the command comes first: facenapi {late} --option=value ..." if late else ""


def _open_standard_streams() -> None:
    """Open those that the process has not got: their numbers would go to files, and what libraries say into these."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        handle = os.open(os.devnull, os.O_RDWR)
        if handle != number:
            os.dup2(handle, number)
            os.close(handle)
        os.set_inheritable(number, True)
        setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8"))


def _reader_is_gone() -> int:
    """End quietly: the reader of the output has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _answer(arguments: Sequence[str]) -> str:
    """Return what is asked for instead of serving, "" if nothing is."""
    if "--version" in arguments:
        return f"facenapi {__version__}"
    if {"--help", "-h"} & set(arguments):
        return USAGE
    if "--help-options" in arguments:
        return help_text()
    return sample_file() if "--sample-config" in arguments else ""


def _command(name: str) -> Callable[[Sequence[str]], int]:
    module, _, function = COMMANDS[name].partition(":")
    command: Callable[[Sequence[str]], int] = getattr(import_module(f"facenapi.commands.{module}"), function)
    return command


def token_main() -> int:
    """``facenapi token`` under the name that the original had for it."""
    return main(["token", *sys.argv[1:]])


def mass_enroll_main() -> int:
    """``facenapi mass-enroll`` under the original's name."""
    return main(["mass-enroll", *sys.argv[1:]])


def regenerate_main() -> int:
    """``facenapi regenerate`` under the original's name."""
    return main(["regenerate", *sys.argv[1:]])
