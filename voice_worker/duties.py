"""What a host does all the time beside holding calls."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

logger = structlog.get_logger(__name__)

AGAIN_S: Final = 5.0


async def endlessly(duty: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A host that no longer beats or hands in, but takes calls, would be worse than one that tries again."""
    while True:
        try:
            await duty()
        except Exception:
            logger.exception("a duty of the host failed and begins anew")
        await asyncio.sleep(AGAIN_S)
