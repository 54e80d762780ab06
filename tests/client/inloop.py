"""The asynchronous client as if it were the blocking one, so that one suite is for both."""

import asyncio
import inspect

from facenapi.client import AsyncClient


class InLoop:
    """Runs every call on a loop of its own."""

    def __init__(self, *arguments, **options):
        self.runner = asyncio.Runner()
        self.client = AsyncClient(*arguments, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.runner.run(self.client.close())
        self.runner.close()

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*arguments, **options):
            found = method(*arguments, **options)
            return iter(self.runner.run(everything(found))) if inspect.isasyncgen(found) else self.runner.run(found)

        return call


async def everything(items):
    return [item async for item in items]
