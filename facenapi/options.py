"""The table of options: name, type, default, range and meaning of each, once.

``config.py`` reads files and command lines by this table and prints it as help, as the commented
sample in ``conf/`` and as the reference in the README.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def option(
    section: str,
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    reload: bool = False,
) -> Any:
    """Declare an option; ``reload`` marks what a SIGHUP can change."""
    return field(default=default, metadata={"section": section, "help": text, "low": low, "high": high,
                                            "choices": choices, "reload": reload})


@dataclass(frozen=True, slots=True)
class Config:
    """All options with their values. ``Config()`` has the defaults; tests pass what they change."""

    # -- Server ---------------------------------------------------------------------------------
    host: str = option("Server", "127.0.0.1", "Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = option("Server", 8000, "Port to listen on; 0 lets the system choose.", low=0, high=65535)
    data_dir: str = option("Server", "/var/lib/findface-facenapi",
                           "Folder for the embedded database, index snapshots and photos.")
    # -- Photos ---------------------------------------------------------------------------------
    max_size: int = option("Photos", 6000, "Longest side of a photo, in pixels.", low=16, high=65535)
    # -- Detection ------------------------------------------------------------------------------
    model_pack: str = option("Detection", "", "Folder of the model pack; empty: data_dir/models/default.")
    device: str = option("Detection", "auto", "Where the networks run. cuda refuses to start without a "
                         "usable GPU; auto falls back to the CPU with a warning.", choices=("auto", "cpu", "cuda"))
    threads: int = option("Detection", 0, "Threads for the networks; 0: one per core.", low=0, high=1024)
    detect_size: int = option("Detection", 1280, "Photos are reduced to this longer side to look for faces; "
                              "boxes and crops keep original pixels.", low=160, high=8192)
    nnd_min_face_size: int = option("Detection", 30, "Smallest face to find, in pixels.", low=12, high=65535)
    nnd_max_face_size: int = option("Detection", 0, "Largest face to find, in pixels; 0: any.", low=0, high=65535)
    nnd_p_net_thresh: float = option("Detection", 0.5, "Score that a candidate needs to pass the first network.",
                                     low=0, high=1)
    nnd_r_net_thresh: float = option("Detection", 0.5, "Score that it needs to pass the second.", low=0, high=1)
    nnd_o_net_thresh: float = option("Detection", 0.9, "Score that a face needs in the end.", low=0, high=1)
    nnd_scale_factor: float = option("Detection", 0.79, "Step between the sizes at which faces are looked for.",
                                     low=0.3, high=0.95)
    gae: bool = option("Detection", False, "Whether gender, age and emotions are offered.")


TABLE = {f.name: f for f in fields(Config)}
