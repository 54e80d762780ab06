"""Fetch Swagger UI for the page at /docs/VERSION/try, on which methods can be called from the browser.

From the npm registry, pinned by checksum, as the networks are; into the folder that option api_page names. Without
it everything else works, and that page says how to get it. The server finds it without a restart.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from facenapi.commands.common import parse, parser
from facenapi.detector.packs.build.sources import Package, fetch, read_tarball
from facenapi.process.durable import write_synced

SWAGGER_UI = Package(
    "npm",
    "swagger-ui-dist",
    "5.35.0",
    "swagger-ui-dist-5.35.0.tgz",
    "1b8e891893404ea4c3558b6a87e2a3e494e7eedba41168c2ece5800a391a6ea6",
    "Apache-2.0",
    "SmartBear Software",
    "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
)
_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE")
_VERSION = "version"  # a file, the last that is written: the others are whole, and of this release's version


def main(arguments: Sequence[str]) -> int:
    """Fetch it, unless it is there in this version."""
    own = parser("api-page", __doc__)
    own.add_argument("--cache", type=Path, metavar="DIR", help="folder for the download; default: beside the page")
    chosen, config = parse(own, arguments)
    folder = config.api_page_folder
    made = folder / _VERSION
    if made.is_file() and made.read_bytes() == SWAGGER_UI.version.encode():
        print(folder)
        return 0
    cache = chosen.cache or folder.parent / "downloads"
    data = fetch(SWAGGER_UI, cache, lambda text: print(text, file=sys.stderr))
    members = {f"package/{name}": name for name in _FILES}
    folder.mkdir(parents=True, exist_ok=True)
    for member, content in read_tarball(data, list(members)).items():
        (folder / members[member]).write_bytes(content)
    write_synced(made, SWAGGER_UI.version.encode())
    print(folder)
    return 0
