"""The only sender of Celery messages: a bare client that knows the broker and no task modules.

Messages are wake-ups. What must happen is written in the database and found again by sweeps, so a broker that is
away delays work and loses none; nothing here raises because of it.
"""

from collections.abc import Iterable
from functools import cache, partial
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

TENANT_HEADER: Final = "vp_tenant_id"
TIMEOUT_S: Final = 1.0
# After a failure the broker is left alone for this long, so that a hanging one does not slow every request.
REST_S: Final = 2.0

_rests_until = 0.0
logger = structlog.get_logger(__name__)


@cache
def _client(url: str) -> Celery:
    client = Celery("sender", broker=url, set_as_current=False)
    client.conf.update(
        task_serializer="json",
        task_publish_retry=False,
        broker_connection_timeout=TIMEOUT_S,
        # Without max_retries=0 a refused connection takes two seconds to be reported.
        broker_transport_options={"socket_connect_timeout": TIMEOUT_S, "socket_timeout": TIMEOUT_S, "max_retries": 0},
    )
    return client


def send(task_name: str, *, args: Iterable[Any] = (), tenant_id: UUID | None = None) -> bool:
    """Ask a Celery worker to run a task, for a tenant where one is given. False when the broker did not take it."""
    global _rests_until  # noqa: PLW0603 - one broker per process, and one moment until which it is left alone
    if monotonic() < _rests_until:
        return False
    headers = {TENANT_HEADER: str(tenant_id)} if tenant_id else {}
    try:
        _client(settings.REDIS_URL).send_task(task_name, args=list(args), headers=headers, retry=False, ignore_result=True)
    except (KombuError, RedisError, OSError) as error:
        _rests_until = monotonic() + REST_S
        logger.warning("broker did not take a message", task=task_name, error=str(error))
        return False
    return True


def send_on_commit(task_name: str, *, args: Iterable[Any] = (), tenant_id: UUID | None = None) -> None:
    """`send` once the current transaction has committed; committed work never fails because of it."""
    transaction.on_commit(partial(send, task_name, args=list(args), tenant_id=tenant_id), robust=True)
