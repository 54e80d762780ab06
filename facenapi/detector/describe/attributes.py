"""Age, gender and emotions: the mean of what a network says of several views of a face."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.detector.base import Attributes
from facenapi.detector.describe.crops import cut, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.base import Detection
    from facenapi.detector.packs.pack import AttributeNet
    from facenapi.detector.run.engine import Engine
    from facenapi.photos.photo import Photo

# The outputs of a network for one face, averaged over its views, and the network's settings → answers.
Means = Mapping[str, "NDArray[np.float32]"]
Reader = Callable[[Means, Mapping[str, Any]], dict[str, Any]]


def _years(age: float) -> float:
    return round(max(0.0, age), 2)  # the networks are right within years


def _age_gender(means: Means, settings: Mapping[str, Any]) -> dict[str, Any]:
    male = float(np.clip(means["gender"][settings["genders"].index("male")], 1e-6, 1 - 1e-6))
    platt = settings["platt"]
    # The network leans towards "male"; Platt scaling moves the even chance to where it was measured.
    evidence = platt["slope"] * math.log(male / (1 - male)) + platt["shift"]
    return {"age": _years(float(means["age"][0])), "gender": "male" if evidence > 0 else "female"}


def _genderage(means: Means, settings: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - all readers alike
    female, male, age = next(iter(means.values())).tolist()
    return {"age": _years(age * 100), "gender": "male" if male > female else "female"}


def _emotions(means: Means, settings: Mapping[str, Any]) -> dict[str, Any]:
    # Probabilities or logits: the order is the same. A label of null is a class that the contract lacks.
    order = np.argsort(-next(iter(means.values())), kind="stable")
    named = [settings["labels"][i] for i in order if settings["labels"][i] is not None]
    return {"emotions": tuple(named[:2])}


# kind: what it tells, how many numbers its outputs hold for a face (0: as many as labels), its reader
READERS: dict[str, tuple[frozenset[str], int, Reader]] = {
    "age_gender": (frozenset({"age", "gender"}), 3, _age_gender),
    "insightface_genderage": (frozenset({"age", "gender"}), 3, _genderage),
    "emotions": (frozenset({"emotions"}), 0, _emotions),
}


class AttributeReader:
    """One network and what it can tell."""

    def __init__(self, net: AttributeNet, engine: Engine, views: int) -> None:
        """``views``: 1, 2 (with the mirror image) or 4 (also at the second zoom)."""
        self._net, self._engine = net, engine
        self._mirrored = views > 1
        self._zooms = net.zooms if views > 2 else net.zooms[:1]
        self.tells, _, self._reader = READERS[net.kind]

    def read(self, photo: Photo, faces: Sequence[Detection]) -> list[dict[str, Any]]:
        """Return the answers for each of N >= 1 faces."""
        crops = [cut(photo, face, self._net.input, zoom) for face in faces for zoom in self._zooms]
        outputs = self._engine.run(rows(crops, self._net.input, mirrored=self._mirrored))
        means = {
            name: output.reshape(len(faces), -1, *output.shape[1:]).mean(axis=1)
            for name, output in zip(self._engine.outputs, outputs, strict=True)
        }
        return [
            self._reader({name: mean[i] for name, mean in means.items()}, self._net.settings)
            for i in range(len(faces))
        ]


def describe(
    readers: Sequence[AttributeReader], photo: Photo, faces: Sequence[Detection], wanted: frozenset[str]
) -> list[Attributes]:
    """Return what is wanted of each face, asking only the networks that can tell it."""
    answers: list[dict[str, Any]] = [{} for _ in faces]
    for reader in readers:
        if faces and reader.tells & wanted:
            for answer, found in zip(answers, reader.read(photo, faces), strict=True):
                answer.update({name: value for name, value in found.items() if name in wanted})
    return [Attributes(**answer) for answer in answers]
