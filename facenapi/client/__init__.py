"""A thin Python client of a facenapi server, blocking (:class:`Client`) and asynchronous (:class:`AsyncClient`).

    from facenapi.client import Client

    with Client("http://127.0.0.1:8000", token="…") as facenapi:
        facenapi.add_face("sam.jpg", meta="Sam Berry")
        print(facenapi.identify("unknown.jpg")["results"])

It needs httpx and nothing else of the server, and is also a distribution of its own, ``facenapi-client``, which
holds the same code under the name ``facenapi_client``: hence the relative imports. Two distributions may not own
files in one folder: whichever is removed first takes those of the other along.

Photos are paths, http(s) URLs, bytes, Pillow images or arrays (``photos.py``); answers are the server's JSON with
types (``results.py``); every refusal is an exception (``errors.py``); what is tried again, and when, is decided in
``exchange.py``.
"""

from .errors import (
    ApiError,
    AuthFailed,
    BadImage,
    BadParam,
    FacenapiError,
    NoAnswer,
    NoFaces,
    NotFound,
    Overloaded,
    TooManyFaces,
    Unavailable,
)
from .photos import Photo
from .results import (
    Box,
    Camera,
    Candidates,
    DetectedFace,
    Detection,
    Face,
    Identification,
    Match,
    Meta,
    Offer,
    Pair,
    Person,
    PersonSummary,
    QualityParts,
    Sighting,
    Verification,
)
from .transports import AsyncClient, Client

__version__ = "0.2.0"

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuthFailed",
    "BadImage",
    "BadParam",
    "Box",
    "Camera",
    "Candidates",
    "Client",
    "DetectedFace",
    "Detection",
    "Face",
    "FacenapiError",
    "Identification",
    "Match",
    "Meta",
    "NoAnswer",
    "NoFaces",
    "NotFound",
    "Offer",
    "Overloaded",
    "Pair",
    "Person",
    "PersonSummary",
    "Photo",
    "QualityParts",
    "Sighting",
    "TooManyFaces",
    "Unavailable",
    "Verification",
]
