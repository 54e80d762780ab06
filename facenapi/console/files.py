"""The files of the console as they are answered."""

from __future__ import annotations

import gzip
import hashlib
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TYPES = {
    ".html": "text/html; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"


class ConsoleFiles:
    """All of them, by name, plain and compressed when they are first asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Read all of them; there are some 40, of 200 kB together."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in TYPES
        }
        whole = hashlib.sha256()
        for name, data in files.items():
            whole.update(f"{name}\0{len(data)}\0".encode() + data)
        self.digest = whole.hexdigest()[:16]
        self._files = files
        self._packed: dict[str, bytes] = {}

    def page(self, prefix: str) -> bytes:
        """Return the page for clients that reach this server below a path."""
        return self._files[PAGE].replace(b"{base}", f"{escape(prefix)}/console/{self.digest}".encode())

    def get(self, name: str) -> tuple[bytes, bytes] | None:
        """Return a file, plain and compressed; None if there is none of this name."""
        data = self._files.get(name)
        if data is None:
            return None
        if name not in self._packed:
            self._packed[name] = gzip.compress(data, mtime=0)
        return data, self._packed[name]
