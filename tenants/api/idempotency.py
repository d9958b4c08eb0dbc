"""One effect for a POST however often it is sent: `Idempotency-Key`.

The record, the effect and the answer are written in one transaction, so after a crash there is either none of them
or an answer to repeat. Refused requests leave nothing and may be sent again, corrected, under the same key.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.models import IdempotencyRecord
from tenants.scope import current_tenant_id
from voiceplatform.lib.api.problems import Refusal, declare

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
KEPT: Final = timedelta(hours=24)
LONGEST: Final = 255
IN_PROGRESS: Final = declare("idempotency_in_progress", "A request with this Idempotency-Key is still running.")
REUSED: Final = declare("idempotency_key_reused", "This Idempotency-Key was used for another request.")
Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """Let a POST handler that only writes rows be repeated by key; its other effects belong after the commit."""

    @wraps(handler)
    def handle(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
            raise Refusal(400, "invalid", f"{HEADER}: 1 to {LONGEST} printable ASCII characters.", params={HEADER: "Malformed."})
        with transaction.atomic():
            return _once(key, request, lambda: handler(view, request, *args, **kwargs))

    handle.idempotent = True  # type: ignore[attr-defined]
    return handle


def takes_key(handler: Handler) -> Handler:
    """Say of a POST handler that waits for something that an `idempotent` step of it takes the key."""
    handler.idempotent = True  # type: ignore[attr-defined]
    return handler


def replay_headers(step: Response) -> dict[str, str]:
    """What the answer to such a handler says when its `step` was done before."""
    return {REPLAYED: step[REPLAYED]} if REPLAYED in step else {}


def _once(key: str, request: Request, run: Callable[[], Response]) -> Response:
    if not _try_lock(key):
        raise Refusal(409, IN_PROGRESS, "A request with this key is still running.", headers={"Retry-After": "1"})
    sha256 = _digest(request)
    record = IdempotencyRecord.objects.filter(key=key).first()
    if record is not None and record.created_at < timezone.now() - KEPT:
        record.delete()
        record = None
    if record is None:
        response = run()
        body = JSONRenderer().render(response.data).decode()
        IdempotencyRecord.objects.create(
            key=key, request_sha256=sha256, status=response.status_code, body=body, created_at=timezone.now()
        )
        return response
    if record.request_sha256 != sha256:
        raise Refusal(422, REUSED, "This key was used for another request. Use a new one for each.", params={HEADER: "Reused."})
    return Response(json.loads(record.body), status=record.status, headers={REPLAYED: "true"})


def _try_lock(key: str) -> bool:
    name = hashlib.sha256(f"{current_tenant_id()}:{key}".encode()).digest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(name[:8], "big", signed=True)])
        (got,) = cursor.fetchone()
    return bool(got)


def _digest(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"), default=_file_digest)
    return hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).hexdigest()


def _file_digest(file: Any) -> str:
    """Of a file in a form."""
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
