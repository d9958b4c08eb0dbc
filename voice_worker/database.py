"""Database steps of a job, off the event loop: one thread, no connection between the steps."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")


async def in_database(step: Callable[[], T], *, timeout_s: float | None = None) -> T:
    """Run a step that queries. Raises TimeoutError when it takes longer; it may finish later all the same."""
    async with asyncio.timeout(timeout_s):
        return await asyncio.get_running_loop().run_in_executor(_thread(), _closing, step)


def _closing(step: Callable[[], T]) -> T:
    try:
        return step()
    finally:
        connections.close_all()
