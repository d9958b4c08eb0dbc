"""One call as a stream: what happened, was said and used, in the order in which it became known.

A row that changes moves to the stream's end, so a reader sees the newest state of everything, and some turns twice.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from calls.models import Call, CallEvent, CallStream, ToolCall, Turn
from calls.wakeups import TIMEOUT_S, news_channel

logger = structlog.get_logger(__name__)

Row = CallEvent | Turn | ToolCall
_POLL_S: Final = 5.0
_POLL_WITHOUT_REDIS_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order. Go on from `cursor`; when `is_over`, nothing will come after it."""

    rows: Sequence[Row]
    cursor: int
    has_more: bool
    is_over: bool


def read_stream(call_id: UUID, *, after: int, limit: int) -> Page:
    """What comes after place `after`, at most `limit` of it."""
    # In this order: what is committed between the two is read now or the next time.
    is_over = Call.objects.filter(pk=call_id).exclude(finalized_at=None).exists()
    last = _last(call_id)
    found: list[Row] = []
    if last > after:
        for model in (CallEvent, Turn, ToolCall):
            rows = model.objects.filter(call_id=call_id, position__gt=after, position__lte=last).order_by("position")
            found += rows[: limit + 1]
    found.sort(key=lambda row: int(row.position))
    shown = list(islice(found, limit))
    has_more = len(found) > limit
    cursor = int(shown[-1].position) if has_more else max(last, after)
    return Page(rows=shown, cursor=cursor, has_more=has_more, is_over=is_over and not has_more)


def wait_for_news(call_id: UUID, *, after: int, limit: int, timeout_s: float) -> Page:
    """The same once there is something, the stream is over, or the time is up; outside of transactions only.

    Redis says when to look again; without it, and every few seconds in any case, we look without being told.
    """
    until = time.monotonic() + timeout_s
    page = read_stream(call_id, after=after, limit=limit)
    if not _is_to_wait(page, until):
        return page
    with _Bell(call_id) as bell:
        while True:
            # Anew also at first: something may have come before the bell was there.
            page = read_stream(call_id, after=page.cursor, limit=limit)
            if not _is_to_wait(page, until):
                return page
            # Whoever waits must not keep a connection of the pool from others.
            if not connection.in_atomic_block:
                connection.close()
            bell.wait(until - time.monotonic())


def _is_to_wait(page: Page, until: float) -> bool:
    return not page.rows and not page.is_over and time.monotonic() < until


def _last(call_id: UUID) -> int:
    return CallStream.objects.filter(call_id=call_id).values_list("last", flat=True).first() or 0


class _Bell:
    """Rings when something about a call was written."""

    def __init__(self, call_id: UUID) -> None:
        self._channel = news_channel(call_id)
        self._client = Redis.from_url(settings.REDIS_URL, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S)
        self._pubsub: PubSub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._rings = False

    def __enter__(self) -> "_Bell":
        try:
            self._pubsub.subscribe(self._channel)
            # Answers the subscription: from here on nothing is missed.
            self._pubsub.get_message(timeout=TIMEOUT_S)
            self._rings = True
        except (RedisError, OSError) as error:
            logger.warning("nobody tells of news of calls", error=str(error))
        return self

    def __exit__(self, *_: object) -> None:
        self._pubsub.close()
        self._client.close()

    def wait(self, longest_s: float) -> None:
        if not self._rings:
            time.sleep(max(0.0, min(longest_s, _POLL_WITHOUT_REDIS_S)))
            return
        try:
            self._pubsub.get_message(timeout=max(0.0, min(longest_s, _POLL_S)))
        except (RedisError, OSError):
            self._rings = False
