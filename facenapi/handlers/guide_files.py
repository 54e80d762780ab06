"""The built documentation, read once, and the policy that browsers get for it.

Its pages carry a few lines of script of the theme's; the policy names each by its digest, so that nothing else runs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from facenapi.errors import NotFound

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; script-src 'self'"
)


class GuideFiles:
    """All files of a folder by their path below it; none if the folder is not there."""

    def __init__(self, folder: str) -> None:
        root = Path(folder)
        self._files = (
            {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
            if folder and root.is_dir()
            else {}
        )
        pages = [content for name, content in self._files.items() if name.endswith(".html")]
        scripts = {script for page in pages for script in _SCRIPT.findall(page)}
        digests = sorted(base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
        self.policy = _POLICY + "".join(f" 'sha256-{digest}'" for digest in digests)

    def get(self, name: str) -> bytes:
        """Return a file; raise NotFound."""
        if not self._files:
            raise NotFound("The guide was not built here: scripts/docs builds it, the option guide_dir names it")
        if name not in self._files:
            raise NotFound("The guide has no such page")
        return self._files[name]
