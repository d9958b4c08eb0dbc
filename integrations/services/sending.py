"""Sending to one endpoint what is due, in order per object: lease, sign, post, note the outcome.

One process at a time sends to an endpoint, so a slow receiver holds up its own events only. What is due at one moment
is of different objects, so several requests may be under way; a run begins with one and doubles while all succeed.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Case, F, TextField, Value, When
from django.db.models.functions import Now
from django.utils import timezone
from standardwebhooks import Webhook

from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.selectors import due_deliveries, free, open_endpoints, ready_endpoints
from integrations.services.health import GONE, Outcome, note_health
from integrations.services.schedule import SCHEDULE, Schedule, asked_pause
from integrations.wakeups import wake
from voiceplatform.lib.ids import to_public_id, uuid7
from voiceplatform.lib.outbound_http import OutboundClient, OutboundError, outbound_client
from voiceplatform.lib.secrets import SecretError

# No request begins later than this; with the client's deadline a run ends within 25 s.
RUN_S: Final = 12.0
LEASE: Final = timedelta(seconds=45)
MOST_AT_ONCE: Final = 4
_ASKS_TO_WAIT: Final = frozenset({429, 503})
_KEPT_ANSWER: Final = 2000
Status = WebhookDelivery.Status
logger = structlog.get_logger(__name__)


def deliver(
    *, endpoint_id: UUID, schedule: Schedule = SCHEDULE, client: OutboundClient | None = None, stop: Event | None = None
) -> int:
    """Send what is due to an endpoint of the tenant in scope, for RUN_S at most; returns how many attempts were made.

    Does nothing while another process sends to it, or while it is disabled or rests. Wakes itself for what is left.
    Once `stop` is set no request begins any more. Outside any transaction: connections are given back while requests run.
    """
    lease = uuid7()
    mine = ready_endpoints(WebhookEndpoint.objects, WebhookDelivery.objects).filter(pk=endpoint_id)
    if not mine.update(lease=lease, leased_until=Now() + LEASE):
        return 0
    try:
        attempts = _run(endpoint_id, lease, schedule, client or outbound_client(), stop or Event())
    finally:
        WebhookEndpoint.objects.filter(pk=endpoint_id, lease=lease).update(lease=None, leased_until=None)
    left = ready_endpoints(WebhookEndpoint.objects, WebhookDelivery.objects).filter(pk=endpoint_id)
    if (endpoint := left.first()) is not None:
        wake(endpoint_id, tenant_id=endpoint.tenant_id)
    return attempts


def _run(endpoint_id: UUID, lease: UUID, schedule: Schedule, client: OutboundClient, stop: Event) -> int:
    attempts, at_once, ends = 0, 1, monotonic() + RUN_S
    with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="webhook") as lanes:
        while not stop.is_set() and monotonic() < ends:
            endpoint = _held(endpoint_id, lease)
            if endpoint is None or not (batch := _lease_batch(endpoint, at_once, schedule)):
                break
            connection.close()
            post = partial(_attempt, endpoint, client=client)
            outcomes = list(lanes.map(post, batch)) if len(batch) > 1 else [post(batch[0])]
            _note_outcomes(endpoint, batch, outcomes, schedule)
            attempts += len(batch)
            at_once = 1 if any(outcome.error for outcome in outcomes) else min(2 * at_once, MOST_AT_ONCE)
    return attempts


def _held(endpoint_id: UUID, lease: UUID) -> WebhookEndpoint | None:
    """The endpoint as it is now, unless it was disabled, rests, or another process took it over."""
    return open_endpoints(WebhookEndpoint.objects).filter(pk=endpoint_id, lease=lease).first()


def _lease_batch(endpoint: WebhookEndpoint, most: int, schedule: Schedule) -> list[WebhookDelivery]:
    """Take what waited longest, `most` at once, committed before it is sent."""
    due = due_deliveries(WebhookDelivery.objects).filter(endpoint=endpoint).order_by("next_at", "id")
    first = Case(When(attempts=0, then=Now()), default=F("first_attempt_at"))
    while True:
        lease, found = uuid7(), list(due.values_list("pk", flat=True)[:most])
        if not found:
            return []
        # Free once more: another process may have taken one meanwhile.
        taken = WebhookDelivery.objects.filter(free(), status=Status.PENDING, pk__in=found)
        facts = {"lease": lease, "leased_until": Now() + LEASE, "last_attempt_at": Now(), "first_attempt_at": first}
        taken.update(attempts=F("attempts") + 1, **facts)
        mine = WebhookDelivery.objects.filter(endpoint=endpoint, lease=lease, status=Status.PENDING)
        batch = list(mine.order_by("next_at", "id"))
        if any(row.attempts > schedule.attempts for row in batch):
            _bury(mine.filter(attempts__gt=schedule.attempts))
        if batch := [row for row in batch if row.attempts <= schedule.attempts]:
            return batch


def _bury(rows: Any) -> None:
    """The process that made the last attempt died before it could note how it went."""
    told = Case(When(last_error="", then=Value("The last attempt was cut off.", TextField())), default=F("last_error"))
    rows.update(status=Status.DEAD, settled_at=Now(), last_error=told, attempts=F("attempts") - 1, lease=None, leased_until=None)


def _attempt(endpoint: WebhookEndpoint, delivery: WebhookDelivery, client: OutboundClient) -> Outcome:
    """Outside any transaction."""
    body = json.dumps(delivery.payload, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    try:
        headers = _headers(endpoint, delivery, body)
        answer = client.post(endpoint.url, body=body.encode(), headers=headers)
    except SecretError:
        logger.exception("an endpoint's secret cannot be read", endpoint_id=str(endpoint.pk))
        return Outcome(status=None, error="The endpoint's secret cannot be read. Rotate it.")
    except OutboundError as error:
        return Outcome(status=None, error=str(error))
    text = answer.body[:_KEPT_ANSWER].decode(errors="replace").replace("\x00", "�")
    problem = "" if 200 <= answer.status < 300 else f"The receiver answered {answer.status}."
    asked = asked_pause(answer.retry_after, now=timezone.now()) if answer.status in _ASKS_TO_WAIT else timedelta(0)
    return Outcome(status=answer.status, error=problem, answer=text, duration_ms=answer.duration_ms, asked=asked)


def _headers(endpoint: WebhookEndpoint, delivery: WebhookDelivery, body: str) -> dict[str, str]:
    now, message_id = datetime.now(tz=UTC), to_public_id("evt", delivery.event_id)
    secrets = [endpoint.secret]
    if endpoint.previous_secret_until is not None and endpoint.previous_secret_until > now:
        secrets.append(endpoint.previous_secret)
    signatures = [Webhook(secret.reveal()).sign(message_id, now, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "voiceplatform-webhooks/1",
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": " ".join(signatures),
    }


@transaction.atomic
def _note_outcomes(
    endpoint: WebhookEndpoint, batch: Sequence[WebhookDelivery], outcomes: Sequence[Outcome], schedule: Schedule
) -> None:
    for delivery, outcome in zip(batch, outcomes, strict=True):
        _note_outcome(delivery, outcome, schedule)
    note_health(endpoint, outcomes, schedule)


def _note_outcome(delivery: WebhookDelivery, outcome: Outcome, schedule: Schedule) -> None:
    facts: dict[str, Any] = {
        "last_status": outcome.status,
        "last_error": outcome.error,
        "last_answer": outcome.answer,
        "last_duration_ms": outcome.duration_ms,
        "lease": None,
        "leased_until": None,
    }
    pause = _pause(delivery, outcome, schedule)
    if not outcome.error:
        facts |= {"status": Status.DONE, "settled_at": Now()}
    elif outcome.status == GONE or pause is None:
        facts |= {"status": Status.DEAD, "settled_at": Now()}
    else:
        facts["next_at"] = Now() + pause
    WebhookDelivery.objects.filter(pk=delivery.pk, lease=delivery.lease, status=Status.PENDING).update(**facts)


def _pause(delivery: WebhookDelivery, outcome: Outcome, schedule: Schedule) -> timedelta | None:
    """Never shorter than the receiver asks for; None when that was the last attempt, or the next one would be too late."""
    planned = schedule.pause_after(delivery.attempts)
    if planned is None or planned >= outcome.asked:
        return planned
    began = delivery.first_attempt_at or timezone.now()
    return outcome.asked if timezone.now() + outcome.asked <= began + schedule.longest else None
