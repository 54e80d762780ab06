"""A process that uses a store until it is killed: ``python -m tests.storage.child FOLDER write|hold|migrate``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from facenapi.storage.sqlite import SqliteStore, schema
from facenapi.storage.sqlite.folder import DATABASE
from tests.storage.samples import new_face


def say(what) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def migrate(folder: Path, steps: int) -> None:
    """Migrate the database of a folder, and die after so many steps of SQLite's machine."""
    left = [steps // 100]

    def count() -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    db = schema.connect(folder / DATABASE, "normal", writes=True)
    db.set_progress_handler(count, 100)
    schema.migrate(db)


async def main(folder: Path, task: str) -> None:
    store = SqliteStore(folder)
    await store.start()
    if task == "hold":
        say("open")
        await asyncio.sleep(60)
        return

    async def write(client: int) -> None:
        while True:
            faces = await store.add_faces([new_face(meta=str(client), embedding=b"\0\0\x80?" * 128)] * 2)
            for face in faces:
                say(face.id)

    await asyncio.wait_for(asyncio.gather(*(write(client) for client in range(8))), 60)


if __name__ == "__main__":
    if sys.argv[2] == "migrate":
        migrate(Path(sys.argv[1]), int(sys.argv[3]))
    else:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
