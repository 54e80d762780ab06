"""The types of answers: the server's own JSON, so that nothing is lost of what a newer one adds.

They are dictionaries: ``face["id"]``, and ``face.get("person_id")`` for what is there only when it applies.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Gender = Literal["male", "female"]
Emotion = Literal["neutral", "happy", "sad", "surprise", "fear", "angry", "disgust"]


class Box(TypedDict):
    """A rectangle in pixels of the upright photo, x to the right, y down; it may reach over the border."""

    x1: int
    y1: int
    x2: int
    y2: int


class QualityParts(TypedDict):
    """What the quality of a face is made of, each 0…1."""

    size: float
    sharpness: float
    exposure: float
    pose: float


class _Attributes(TypedDict):
    """What is answered if it was asked for. ``emotions``: the two strongest, strongest first."""

    age: NotRequired[float]
    gender: NotRequired[Gender]
    emotions: NotRequired[list[Emotion]]
    quality: NotRequired[float]
    quality_parts: NotRequired[QualityParts]


class DetectedFace(Box, _Attributes):
    """A face on a photo."""


class Detection(TypedDict):
    """The faces on a photo, and its EXIF orientation: 1 if it was upright."""

    faces: list[DetectedFace]
    orientation: int
    limit: NotRequired[int]  # how many faces a server takes, if the photo may have more


class Pair(TypedDict):
    """A face of the first photo and one of the second; ``verified`` is missing with the threshold ``none``."""

    bbox1: Box
    bbox2: Box
    confidence: float
    verified: NotRequired[bool]


class Verification(TypedDict):
    """All pairs; ``verified``: each face of the first photo has a match on the second."""

    results: list[Pair]
    verified: NotRequired[bool]


class Face(Box, _Attributes):
    """A stored face. ``timestamp``: UTC, as text; ``photo_hash``: md5 of the photo's bytes."""

    id: int
    meta: str
    galleries: list[str]
    photo: str
    photo_hash: str
    timestamp: str
    person_id: NotRequired[int]
    friend: NotRequired[bool]
    cam_id: NotRequired[str]
    thumbnail: NotRequired[str]
    normalized: NotRequired[str]


class Match(TypedDict):
    """A stored face and how sure it is that it is the same person, 0…1."""

    confidence: float
    face: Face


class Candidates(TypedDict):
    """A face on the photo that was asked about, and who it may be, best first."""

    box: Box
    matches: list[Match]


class Identification(TypedDict):
    """Who the faces on a photo are. Fewer ``live_servers`` than ``servers``: search shards were missing."""

    results: list[Candidates]
    live_servers: int
    servers: int


class Meta(TypedDict):
    """A meta in use: how many faces have it, and the first of them."""

    meta: str
    count: int
    face: Face


class PersonSummary(TypedDict):
    """A person in a list."""

    id: int
    meta: str


class Person(PersonSummary):
    """A person with one of the faces, and their count."""

    count: int
    face: Face | None


class Sighting(TypedDict):
    """Where and when a person was seen."""

    person_id: int
    face_id: int
    cam_id: str
    meta: str
    screenshot: str
    timestamp: str


class Camera(TypedDict):
    """A camera: its id, and what was set. ``roi`` is [width, height, x, y]."""

    id: str
    meta: NotRequired[str]
    url: NotRequired[str]
    detector: NotRequired[str]
    rot: NotRequired[list[int]]
    roi: NotRequired[list[int]]
    enabled: NotRequired[bool]


class NamedThreshold(TypedDict):
    """A threshold, and of how many comparisons of two different people one passes it."""

    name: Literal["low", "medium", "default", "strict"]
    confidence: float
    false_accept_rate: float


class Offer(TypedDict):
    """What a server offers. ``photos``: whether and where they are kept; ``max_size``: longest side in pixels."""

    version: str
    attributes: bool
    persons: bool
    photos: Literal["off", "files", "webdav"]
    photo_access: Literal["link", "token"]
    max_size: int
    max_photo_bytes: int
    max_faces: int
    max_boxes: int
    max_galleries: int
    max_identify_limit: int
    thresholds: list[NamedThreshold]
