"""Delete old history: the faces with a camera that are older than so many days, of all owners, and their photos.

It works while the server runs, and can be interrupted and repeated; run it daily from a timer:

    facenapi expire --days=30
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from facenapi import clock
from facenapi.commands.common import number, parse, parser
from facenapi.commands.installation import open_kept, open_owners
from facenapi.config.options import Config
from facenapi.services.persons import remove_faceless
from facenapi.storage.base import Face
from facenapi.storage.expiry import expire_history

_DAY_MS = 86_400_000


def main(arguments: Sequence[str]) -> int:
    """Delete, and say how many."""
    own = parser("expire", __doc__)
    own.add_argument(
        "--days",
        type=number(float, 0, 1_000_000),
        required=True,
        metavar="N",
        help="how many days of history to keep",
    )
    chosen, config = parse(own, arguments)
    return asyncio.run(_run(config, chosen.days))


async def _run(config: Config, days: float) -> int:
    async with open_owners(config) as (store, _), open_kept(config) as pictures:

        async def forget(faces: Sequence[Face]) -> None:
            await remove_faceless(store, faces)
            await pictures.forget(faces)

        deleted = await expire_history(store, clock.now_ms() - int(days * _DAY_MS), forget)
    print(f"{deleted} faces deleted")
    return 0
