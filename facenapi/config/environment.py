"""Settings from the environment: ``FACENAPI_<OPTION>``, and ``FACENAPI_<OPTION>_FILE`` for what is in a file.

The second is for secrets, as containers get them. An empty variable counts as absent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

PREFIX = "FACENAPI_"
# Variables with the prefix that are no options: of commands, scripts and the container's health check.
_OTHERS = {"FACENAPI_TOKEN", "FACENAPI_URL", "FACENAPI_HEALTH", "FACENAPI_VENV", "FACENAPI_NMSLIB"}
# What Kubernetes sets in every pod beside a service that is called facenapi, facenapi-shard, facenapi-mongo, …
_KUBERNETES = re.compile(r"FACENAPI_(\w+_)?(SERVICE_(HOST|PORT)|PORT_[0-9]+_(TCP|UDP|SCTP))")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

Found = tuple[str, str, str]  # where it was written, the option, the text


def read_environment(environment: Mapping[str, str], known: Collection[str]) -> tuple[list[Found], list[str]]:
    """Return what the environment says of the ``known`` options, and its mistakes.

    >>> read_environment({"FACENAPI_PORT": "8001", "FACENAPI_HSOT": "x", "HOME": "/"}, ["host", "port"])
    ([('environment FACENAPI_PORT', 'port', '8001')], ['environment FACENAPI_HSOT: there is no such option (did you \
mean FACENAPI_HOST?)'])
    """
    found: list[Found] = []
    errors: list[str] = []
    for variable, text in sorted(environment.items()):
        if not _means_us(variable, text):
            continue
        where, name = f"environment {variable}", variable.removeprefix(PREFIX).lower()
        option = name.removesuffix("_file")
        if name in known:
            found.append((where, name, text))
        elif name != option and option in known:
            if environment.get(PREFIX + option.upper()):
                errors.append(f"{where}: {option} is set already by {PREFIX}{option.upper()}")
                continue
            try:
                found.append((where, option, Path(text).read_text(encoding="utf-8").rstrip("\r\n")))
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "the file is not UTF-8 text"
                errors.append(f"{where}: {text} cannot be read: {reason}")
        else:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {PREFIX}{close[0].upper()}?)" if close else ""
            errors.append(f"{where}: there is no such option{hint}")
    return found, errors


def _means_us(variable: str, text: str) -> bool:
    if not variable.startswith(PREFIX) or not text or variable in _OTHERS or variable.startswith("FACENAPI_TEST_"):
        return False
    kubernetes = _KUBERNETES.match(variable) or (variable.endswith("_PORT") and _ADDRESS.match(text))
    return not kubernetes
