"""Doing a database step again when the connection was lost under it."""

from collections.abc import Callable
from functools import wraps
from time import sleep
from typing import Final, ParamSpec, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")
ATTEMPTS: Final = 3
PAUSE_S: Final = 0.2

logger = structlog.get_logger(__name__)


def retry_on_lost_connection(step: Callable[P, T]) -> Callable[P, T]:
    """Run `step` up to three times while the database connection is lost under it; other errors pass at once.

    For idempotent steps only: a step may have committed just before its connection broke. Inside a transaction
    nothing is tried again, because what the transaction did before is gone with the connection.
    """

    @wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS):
            inside = connection.in_atomic_block
            try:
                return step(*args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                if inside or _is_usable():
                    raise
                logger.warning("lost the database connection", step=step.__qualname__, attempt=attempt, error=str(error))
                connection.close()
                sleep(PAUSE_S * attempt)
        return step(*args, **kwargs)

    return run


def _is_usable() -> bool:
    return connection.connection is not None and connection.is_usable()
