"""GET /uploads/NAME: a kept photo, to whoever knows its name, or to its owner only (option photo_access)."""

from __future__ import annotations

from facenapi.api.operation import operation
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler

_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "heic": "image/heic",
    "avif": "image/avif",
}


class UploadHandler(ApiHandler):
    """One file."""

    @property
    def needs_token(self) -> bool:
        """Whether only the owner may have it."""
        return self.app.config.photo_access == "token"

    @operation("Get a kept photo", errors=("NOT_FOUND",))
    async def get(self, picture: str) -> None:
        """Answer its bytes."""
        data = await self.app.pictures.read(picture, self.owner if self.app.config.photo_access == "token" else None)
        if data is None:
            raise NotFound("There is no such photo")
        self.set_header("Content-Type", _TYPES[picture.rpartition(".")[2]])
        self.set_header("X-Content-Type-Options", "nosniff")
        # A name is never used twice.
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.answer_whole(data)
