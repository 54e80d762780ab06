"""The documentation as one site: ``scripts/docs`` builds it into var/guide."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parent.parent))

logging.getLogger("nmslib").setLevel(logging.WARNING)  # it tells of each space that it knows

from facenapi import __version__

project = "facenapi"
project_copyright = "the facenapi contributors"
version = release = __version__
extensions = ["chart", "reference"]
exclude_patterns = ["_build", "_ext"]
root_doc = "index"
language = "en"
nitpicky = True
highlight_language = "none"

html_theme = "furo"
html_title = f"facenapi {version}"
html_copy_source = False
html_show_sphinx = False
html_favicon = "../facenapi/console/icon.svg"
html_static_path: list[str] = []
