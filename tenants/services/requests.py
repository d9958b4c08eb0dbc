"""The log of requests over the API, and what is forgotten in time."""

from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import connection
from django.db.models.sql import InsertQuery
from django.utils import timezone

from tenants.caller import Caller
from tenants.models import IdempotencyRecord, RequestLog
from tenants.models.base import adopt

_LONGEST_PATH: Final = 300
_BATCH: Final = 5000
_REPEATABLE: Final = timedelta(hours=24)


def note_request(*, caller: Caller, method: str, path: str, status: int, code: str, duration_ms: int, ip: str | None) -> None:
    """Keep one request of the tenant in scope, under the request id bound to the log."""
    row = RequestLog(
        api_key_id=caller.key_id if caller.home_id == caller.tenant_id else None,
        key_prefix=caller.prefix,
        at=timezone.now(),
        method=method[:8],
        path=path[:_LONGEST_PATH].replace("\x00", ""),
        status=status,
        code=code[:60],
        duration_ms=max(0, duration_ms),
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        ip=ip,
    )
    adopt(row)
    _insert_lazily(row)


def _insert_lazily(row: RequestLog) -> None:
    """Without waiting for the disk, and in one round trip: a crash of the database may take the last lines of the log."""
    query = InsertQuery(RequestLog)
    query.insert_values(RequestLog._meta.concrete_fields, [row])
    [(statement, values)] = query.get_compiler(connection=connection).as_sql()
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL synchronous_commit TO off; {statement}", values)


def forget_old_requests() -> int:
    """Delete, for all tenants and in batches, what has been kept long enough; returns how many rows. Needs no scope."""
    now = timezone.now()
    old = {
        RequestLog: RequestLog.all_objects.filter(at__lt=now - timedelta(days=settings.VP_REQUEST_LOG_DAYS)),
        IdempotencyRecord: IdempotencyRecord.all_objects.filter(created_at__lt=now - _REPEATABLE),
    }
    forgotten = 0
    for model, rows in old.items():
        while found := list(rows.values_list("pk", flat=True)[:_BATCH]):
            forgotten += model.all_objects.filter(pk__in=found).delete()[0]
    return forgotten
