"""Telling waiting processes that there is something to fetch.

What they fetch is in the database and they look there every few seconds in any case, so a wake-up may be lost.
"""

from functools import cache, partial
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from redis import Redis
from redis.exceptions import RedisError

COMMANDS: Final = "call-commands"
LOCAL_CALLS: Final = "local-calls"
"""Channels; the message is the call's id."""


def news_channel(call_id: UUID) -> str:
    """Where it is told that something about a call was written."""
    return f"call-news:{call_id}"


def tell_news_on_commit(call_id: UUID) -> None:
    """Let those who follow the call look, once the current transaction has committed."""
    wake_on_commit(news_channel(call_id), call_id)


TIMEOUT_S: Final = 1.0
REST_S: Final = 2.0

logger = structlog.get_logger(__name__)


class _Rest:
    until = 0.0


@cache
def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S)


def wake_on_commit(channel: str, call_id: UUID) -> None:
    """Publish once the current transaction has committed; committed work never fails because of it."""
    transaction.on_commit(partial(wake, channel, call_id), robust=True)


def wake(channel: str, call_id: UUID) -> None:
    # A server that hangs must not slow every request down.
    if monotonic() < _Rest.until:
        return
    try:
        _client(settings.REDIS_URL).publish(channel, str(call_id))
    except (RedisError, OSError) as error:
        _Rest.until = monotonic() + REST_S
        logger.warning("a wake-up was not published", channel=channel, error=str(error))
