"""ONNX Runtime, which an extra brings: the wheel for the CPU or the one for GPUs."""

from __future__ import annotations

import os
from typing import Any

from facenapi.errors import StartupError


def load() -> Any:
    """Return the module onnxruntime. Raises StartupError if it is not there, or does not load."""
    # Read when it is loaded: without this, it reports how it is used to its maker.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime  # noqa: PLC0415 - an extra: its absence is a message, not a traceback
    except ModuleNotFoundError:
        onnxruntime = None
    except ImportError as error:  # to install it again would not help
        raise StartupError(f"ONNX Runtime does not load: {error}") from error
    # Removing one of the two wheels leaves an empty package of that name behind.
    if getattr(onnxruntime, "InferenceSession", None) is None:
        raise StartupError("ONNX Runtime is not installed; run: pip install 'facenapi[cpu]'")
    return onnxruntime
