"""Photos in any form that a program has them in. Pillow and numpy are loaded for one of their objects only."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

# A path, an http(s) URL that the server is to fetch, the bytes of a file, a Pillow image, or an array of RGB or
# grey pixels: (height, width[, 3]) of uint8. OpenCV's are BGR: give pixels[..., ::-1].
Photo: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]"

_QUALITY = 95


def content(photo: Photo) -> bytes | str:
    """Return the bytes of a photo's file, or its URL.

    Raises:
        OSError: the file cannot be read.
        TypeError, ValueError: it is nothing that can be a photo.

    >>> content("https://static.example.com/sam.jpg"), content(b"JPEG")
    ('https://static.example.com/sam.jpg', b'JPEG')
    """
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str) and photo.startswith(("http://", "https://")):
        return photo
    if isinstance(photo, str | os.PathLike):
        return Path(photo).read_bytes()
    if _is(photo, "PIL.Image", "Image"):
        return _jpeg(photo)
    if _is(photo, "numpy", "ndarray"):
        return _array(photo)
    raise TypeError(f"a photo is a path, a URL, bytes, a Pillow image or an array, not {type(photo).__name__}")


def _is(photo: Any, module: str, name: str) -> bool:
    """Whether it is an instance of a class whose module was loaded, as it was if there are instances."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(photo, getattr(loaded, name))


def _jpeg(image: Any) -> bytes:
    """Return an image as a file that says which way is up, as its own file did."""
    out = io.BytesIO()
    if image.mode in ("RGB", "L", "CMYK"):
        image.save(out, "JPEG", quality=_QUALITY, subsampling=0, exif=image.getexif())
    else:  # transparency is the server's to flatten
        image.save(out, "PNG", compress_level=1, exif=image.getexif())
    return out.getvalue()


def _array(pixels: Any) -> bytes:
    if str(pixels.dtype) != "uint8" or pixels.ndim not in (2, 3):
        raise ValueError(f"an array must be (height, width) or (height, width, 3) of uint8, not {pixels.dtype} "
                         f"{pixels.shape}")  # fmt: skip
    try:
        from PIL import Image  # noqa: PLC0415 - for those who give arrays only
    except ImportError as error:
        raise TypeError("arrays need Pillow to become a file; without it give the bytes of one, such as "
                        "cv2.imencode('.jpg', frame)[1].tobytes()") from error  # fmt: skip
    return _jpeg(Image.fromarray(pixels))
