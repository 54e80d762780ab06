"""The whole API on one screen.

Every path also exists under /v0 and /v1, and with a slash at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado.routing import URLSpec

from facenapi.handlers.base import ApiHandler, NotFoundHandler
from facenapi.handlers.detect import DetectHandler
from facenapi.handlers.faces import FaceHandler, FacesHandler
from facenapi.handlers.galleries import GalleriesHandler, GalleryHandler
from facenapi.handlers.health import LiveHandler, ReadyHandler
from facenapi.handlers.identify import IdentifyHandler
from facenapi.handlers.verify import VerifyHandler

if TYPE_CHECKING:
    from facenapi.app import Application

G = r"(?P<gallery>[^/]+)"
FACE = r"faces?"

API: list[tuple[str, type[ApiHandler]]] = [
    (r"/detect", DetectHandler),
    (r"/verify", VerifyHandler),
    (r"/identify", IdentifyHandler),
    (rf"/{FACE}/gallery/{G}/identify", IdentifyHandler),
    (r"/face", FacesHandler),
    (rf"/{FACE}/id/(?P<face_id>[^/]+)", FaceHandler),
    (r"/galleries", GalleriesHandler),
    (rf"/galleries/{G}", GalleryHandler),
]

# Without a version, for machines.
SERVICE: list[tuple[str, type[ApiHandler]]] = [
    (r"/health(?:/ready)?", ReadyHandler),
    (r"/health/live", LiveHandler),
]


def routes(app: Application) -> list[Any]:
    """Return the routing table."""
    target = {"app": app}
    return [
        *(URLSpec(rf"(?:/v(?P<version>[01]))?{path}/?", handler, target) for path, handler in API),
        *(URLSpec(rf"{path}/?", handler, target) for path, handler in SERVICE),
        URLSpec(r".*", NotFoundHandler, target),
    ]
