"""Taking things down: each step for so long at most, and none keeps the next from being taken."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog

logger = structlog.get_logger(__name__)

LONGEST_S: Final = 30.0


def later(closing: AsyncExitStack, close: Callable[[], Awaitable[None]], *, longest_s: float = LONGEST_S) -> None:
    async def step() -> None:
        await quietly(close, longest_s=longest_s)

    closing.push_async_callback(step)


async def quietly(close: Callable[[], Awaitable[None]], *, longest_s: float) -> None:
    try:
        async with asyncio.timeout(longest_s):
            await close()
    except Exception:
        logger.exception("something did not close", step=getattr(close, "__qualname__", repr(close)))
