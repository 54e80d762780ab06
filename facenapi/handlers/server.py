"""What handlers may use of the server that they belong to: its services, and little else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.console.files import ConsoleFiles
    from facenapi.detector.base import Detector
    from facenapi.handlers.guide_files import GuideFiles
    from facenapi.process.admission import Admission
    from facenapi.process.metrics import Metrics
    from facenapi.search.client import ShardClient
    from facenapi.services.auth import Authenticator
    from facenapi.services.enrol import Enroller
    from facenapi.services.faces import FaceKeeper
    from facenapi.services.galleries import GalleryKeeper
    from facenapi.services.identify import Identifier
    from facenapi.services.merge import PersonMerger
    from facenapi.services.photos import PhotoLoader
    from facenapi.services.pictures import PictureKeeper
    from facenapi.services.verify import Verifier
    from facenapi.storage.base import Store


class Server(Protocol):
    """The application, as handlers see it."""

    config: Config
    draining: bool
    requests: Admission
    metrics: Metrics
    store: Store
    detector: Detector
    searcher: ShardClient
    photos: PhotoLoader
    auth: Authenticator
    pictures: PictureKeeper
    faces: FaceKeeper
    galleries: GalleryKeeper
    enroller: Enroller
    merger: PersonMerger
    identifier: Identifier
    verifier: Verifier
    console: ConsoleFiles | None

    def briefly(self) -> dict[str, Any]:
        """Return whether requests can be served and why not, for strangers."""

    guide: GuideFiles

    async def readiness(self) -> dict[str, Any]:
        """Return whether requests can be served, and the state of each part."""
