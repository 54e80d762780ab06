"""The gate before storing: faces that are too bad to be found again are refused, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from facenapi.errors import BadImage
from facenapi.process.stages import stage

if TYPE_CHECKING:
    from facenapi.config.options import Config
    from facenapi.detector.base import Detection, Detector, Quality
    from facenapi.photos.photo import Photo

# What a low part means to people.
_FAULTS = {
    "size": "too small",
    "sharpness": "blurred",
    "exposure": "too dark, too bright or without contrast",
    "pose": "turned away",
}


class QualityGate:
    """Judges faces, and refuses those that the configuration does not want; its options may change at any time."""

    def __init__(self, config: Config, detector: Detector) -> None:
        self._config = config
        self._detector = detector

    async def judge(
        self, photo: Photo, faces: Sequence[Detection], param: str, *, wanted: bool
    ) -> list[Quality] | list[None]:
        """Return the quality of each face if it is ``wanted``.

        Raises:
            BadImage: a face is below a limit; the reason says which face and what is wrong with it.
        """
        limits = self._limits()
        if not (wanted or any(limits.values()) or self._config.min_enrol_size):
            return [None] * len(faces)
        with stage("quality"):
            qualities = await self._detector.quality(photo, faces)
        for face, quality in zip(faces, qualities, strict=True):
            faults = ", ".join(self._faults(face, quality, limits))
            if faults:
                raise BadImage(param, f"The face at {face.box.as_key()} is {faults}")
        return qualities if wanted else [None] * len(faces)

    def _limits(self) -> dict[str, float]:
        """Return what each part must reach."""
        config = self._config
        own = {
            "size": 0.0,
            "sharpness": config.min_sharpness,
            "exposure": config.min_exposure,
            "pose": config.min_pose,
        }
        return {part: max(limit, config.min_quality) for part, limit in own.items()}

    def _faults(self, face: Detection, quality: Quality, limits: Mapping[str, float]) -> Iterator[str]:
        box = face.box.rounded()  # as it is answered
        longer = max(box.width, box.height)
        if longer < self._config.min_enrol_size:
            yield f"too small ({longer:.0f} pixels, at least {self._config.min_enrol_size})"
        for part, limit in limits.items():
            if getattr(quality, part) < limit:
                fault = "not to be found in the box" if face.guessed and part == "pose" else _FAULTS[part]
                yield f"{fault} ({part} {getattr(quality, part):.2f}, at least {limit:.2f})"
