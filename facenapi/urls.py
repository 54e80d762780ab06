"""The whole API on one screen.

Every path also exists under /v0 and /v1, and with a slash at its end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tornado.routing import URLSpec

from facenapi.handlers.base import ApiHandler, NotFoundHandler
from facenapi.handlers.cameras import CameraHandler, CamerasHandler
from facenapi.handlers.console import ConsoleFileHandler, ConsoleHandler
from facenapi.handlers.detect import DetectHandler
from facenapi.handlers.docs import DocsHandler, DocsPageHandler, NoDocsHandler, OpenApiHandler, OverviewHandler
from facenapi.handlers.faces import FaceHandler, FacesHandler
from facenapi.handlers.galleries import GalleriesHandler, GalleryHandler
from facenapi.handlers.guide import GuideHandler
from facenapi.handlers.health import LiveHandler, MetricsHandler, ReadyHandler
from facenapi.handlers.history import HistoryHandler, PersonHistoryHandler
from facenapi.handlers.identify import IdentifyHandler
from facenapi.handlers.lists import MetaFacesHandler
from facenapi.handlers.metas import MetaHandler
from facenapi.handlers.offer import OfferHandler
from facenapi.handlers.persons import PersonFacesHandler, PersonHandler, PersonMergeHandler, PersonsHandler
from facenapi.handlers.try_page import TryFileHandler, TryHandler
from facenapi.handlers.uploads import UploadHandler
from facenapi.handlers.verify import VerifyHandler

if TYPE_CHECKING:
    from facenapi.handlers.server import Server

# Pieces of a path: what stands in braces, and FACE, which may be written in singular or plural.
PATTERNS = {"meta": r".*?", "file": r".+?"}
ANYTHING = r"[^/]+"

API: list[tuple[str, type[ApiHandler]]] = [
    ("/detect", DetectHandler),
    ("/verify", VerifyHandler),
    ("/identify", IdentifyHandler),
    ("/FACE", FacesHandler),
    ("/FACE/id/{face_id}", FaceHandler),
    ("/FACE/meta/{meta}", MetaFacesHandler),
    ("/FACE/gallery/{gallery}", FacesHandler),
    ("/FACE/gallery/{gallery}/identify", IdentifyHandler),
    ("/FACE/gallery/{gallery}/meta/{meta}", MetaFacesHandler),
    ("/meta", MetaHandler),
    ("/meta/gallery/{gallery}", MetaHandler),
    ("/galleries", GalleriesHandler),
    ("/galleries/{gallery}", GalleryHandler),
    ("/persons", PersonsHandler),
    ("/person/id/{person_id}", PersonHandler),
    ("/person/id/{person_id}/faces", PersonFacesHandler),
    ("/person/id/{person_id}/merge", PersonMergeHandler),
    ("/person/history/id/{person_id}", PersonHistoryHandler),
    ("/history/search", HistoryHandler),
    ("/camera", CamerasHandler),
    ("/camera/{cam_id}", CameraHandler),
    ("/server", OfferHandler),
]

# Documentation, without a token.
DOCS: list[tuple[str, type[ApiHandler]]] = [
    ("/docs", DocsHandler),
    ("/docs/{documented}", DocsPageHandler),
    ("/docs/{documented}/overview.html", OverviewHandler),
    ("/docs/{documented}/openapi.json", OpenApiHandler),
    ("/docs/{documented}/try", TryHandler),
    ("/docs/{documented}/try/{file}", TryFileHandler),
]

# The guide, as it was built, without a token.
GUIDE: list[tuple[str, type[ApiHandler]]] = [("/docs/guide", GuideHandler), ("/docs/guide/{file}", GuideHandler)]

# The page for people, without a token.
CONSOLE: list[tuple[str, type[ApiHandler]]] = [
    ("", ConsoleHandler),
    ("/console/{digest}/{file}", ConsoleFileHandler),
]

# Kept photos; their addresses are in the faces.
UPLOADS: list[tuple[str, type[ApiHandler]]] = [("/uploads/{picture}", UploadHandler)]

# For machines and people who operate the server; without a version, without a token.
SERVICE: list[tuple[str, type[ApiHandler]]] = [
    ("/health", ReadyHandler),
    ("/health/ready", ReadyHandler),
    ("/health/live", LiveHandler),
    ("/metrics", MetricsHandler),
]


def pattern(template: str) -> str:
    """Return the regular expression of a path.

    >>> pattern("/FACE/id/{face_id}")
    '/faces?/id/(?P<face_id>[^/]+)'
    """
    path = re.sub(r"\{(\w+)\}", lambda match: f"(?P<{match[1]}>{PATTERNS.get(match[1], ANYTHING)})", template)
    return path.replace("FACE", "faces?")


def routes(app: Server) -> list[Any]:
    """Return the routing table."""
    target: dict[str, Any] = {"app": app}
    documented = {"app": app, "table": tuple(API)}
    version = "(?:/v(?P<version>[01]))?"
    return [
        *(URLSpec(f"{version}{pattern(path)}/?", handler, target) for path, handler in API),
        *(URLSpec(f"{pattern(path)}/?", handler, target) for path, handler in GUIDE),
        *(URLSpec(f"{version}{pattern(path)}/?", handler, documented) for path, handler in DOCS),
        URLSpec(f"{version}/docs/.*", NoDocsHandler, target),
        *(URLSpec(rf"{pattern(path)}/?", handler, target) for path, handler in CONSOLE + UPLOADS + SERVICE),
        URLSpec(r".*", NotFoundHandler, target),
    ]
