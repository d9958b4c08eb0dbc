"""Sending to one endpoint what is due, in order per object: lease, sign, post, note the outcome.

One process at a time sends to an endpoint, so a slow receiver holds up its own events only.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from standardwebhooks import Webhook

from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.selectors import due_deliveries, ready_endpoints
from integrations.services.endpoints import disable_endpoint
from integrations.wakeups import wake
from voiceplatform.lib.ids import to_public_id, uuid7
from voiceplatform.lib.outbound_http import OutboundClient, OutboundError, outbound_client
from voiceplatform.lib.secrets import SecretError

# No request begins later than this; with the client's deadline a run ends within 25 s.
RUN_S: Final = 12.0
LEASE: Final = timedelta(seconds=45)
LONGEST_FAILING: Final = timedelta(days=3)
GONE: Final = 410
_KEPT_ANSWER: Final = 2000
# So many refusals on end, and the receiver is left alone for a while, as one that does not answer is at once.
_FAILURES_IN_A_ROW: Final = 5
Status = WebhookDelivery.Status
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Pauses before each retry, in seconds, spread by ± `jitter`, and how long an endpoint rests that is not doing well."""

    pauses: Sequence[float] = (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
    jitter: float = 0.2
    rests: Sequence[float] = (5, 10, 20, 40, 80, 160, 300)

    def pause_after(self, attempts: int) -> timedelta | None:
        """None when that was the last attempt."""
        if attempts > len(self.pauses):
            return None
        return timedelta(seconds=self.pauses[attempts - 1] * random.uniform(1 - self.jitter, 1 + self.jitter))

    def rest_after(self, failures: int) -> timedelta:
        return timedelta(seconds=self.rests[min(failures, len(self.rests)) - 1])


SCHEDULE: Final = Schedule()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt; `status` is None when there was no answer, and `error` empty when it succeeded."""

    status: int | None
    error: str
    answer: str = ""
    duration_ms: int | None = None


def deliver(*, endpoint_id: UUID, schedule: Schedule = SCHEDULE, client: OutboundClient | None = None) -> int:
    """Send what is due to an endpoint of the tenant in scope, for RUN_S at most; returns how many attempts were made.

    Does nothing while another process sends to it, or while it is disabled or rests. Wakes itself for what is left.
    """
    lease = uuid7()
    mine = ready_endpoints(WebhookEndpoint.objects, WebhookDelivery.objects).filter(pk=endpoint_id)
    if not mine.update(lease=lease, leased_until=Now() + LEASE):
        return 0
    client = client or outbound_client()
    attempts, ends = 0, monotonic() + RUN_S
    try:
        while monotonic() < ends and (endpoint := _held(endpoint_id, lease)) and (delivery := _lease_next(endpoint, schedule)):
            attempts += 1
            _note_outcome(endpoint, delivery, _attempt(endpoint, delivery, client), schedule)
    finally:
        WebhookEndpoint.objects.filter(pk=endpoint_id, lease=lease).update(lease=None, leased_until=None)
    left = ready_endpoints(WebhookEndpoint.objects, WebhookDelivery.objects).filter(pk=endpoint_id)
    if (endpoint := left.first()) is not None:
        wake(endpoint_id, tenant_id=endpoint.tenant_id)
    return attempts


def _held(endpoint_id: UUID, lease: UUID) -> WebhookEndpoint | None:
    """The endpoint as it is now, unless it was disabled, rests, or another process took it over."""
    row: WebhookEndpoint | None = WebhookEndpoint.objects.filter(pk=endpoint_id, lease=lease).first()
    if row is None or row.status != WebhookEndpoint.Status.ENABLED:
        return None
    return row if row.rests_until is None or row.rests_until <= timezone.now() else None


def _lease_next(endpoint: WebhookEndpoint, schedule: Schedule) -> WebhookDelivery | None:
    """Take what waited longest, committed before it is sent."""
    while True:
        row = due_deliveries(WebhookDelivery.objects).filter(endpoint=endpoint).order_by("next_at", "id").first()
        if row is None:
            return None
        seen = WebhookDelivery.objects.filter(pk=row.pk, status=Status.PENDING, attempts=row.attempts)
        if row.attempts > len(schedule.pauses):
            # The process that made the last attempt died before it could note how it went.
            seen.update(status=Status.DEAD, settled_at=Now(), last_error=row.last_error or "The last attempt was cut off.")
            continue
        row.lease, row.attempts = uuid7(), row.attempts + 1
        if seen.update(lease=row.lease, leased_until=Now() + LEASE, attempts=row.attempts, last_attempt_at=Now()):
            return row


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
    return Outcome(status=answer.status, error=problem, answer=text, duration_ms=answer.duration_ms)


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
def _note_outcome(endpoint: WebhookEndpoint, delivery: WebhookDelivery, outcome: Outcome, schedule: Schedule) -> None:
    facts: dict[str, Any] = {
        "last_status": outcome.status,
        "last_error": outcome.error,
        "last_answer": outcome.answer,
        "last_duration_ms": outcome.duration_ms,
        "lease": None,
        "leased_until": None,
    }
    pause = schedule.pause_after(delivery.attempts)
    if not outcome.error:
        facts |= {"status": Status.DONE, "settled_at": Now()}
    elif outcome.status == GONE or pause is None:
        facts |= {"status": Status.DEAD, "settled_at": Now()}
    else:
        facts["next_at"] = Now() + pause
    WebhookDelivery.objects.filter(pk=delivery.pk, lease=delivery.lease, status=Status.PENDING).update(**facts)
    _note_health(endpoint, outcome, schedule)


def _note_health(endpoint: WebhookEndpoint, outcome: Outcome, schedule: Schedule) -> None:
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if not outcome.error:
        row.update(last_success_at=Now(), failing_since=None, failures=0, rests_until=None)
        return
    failures = endpoint.failures + 1
    needs_rest = outcome.status is None or failures >= _FAILURES_IN_A_ROW
    rests_until = Now() + schedule.rest_after(failures) if needs_rest else None
    row.update(failing_since=Coalesce("failing_since", Now()), failures=F("failures") + 1, rests_until=rests_until)
    failing_for = timezone.now() - endpoint.failing_since if endpoint.failing_since else timedelta(0)
    why = ""
    if outcome.status == GONE:
        why = "The receiver answered 410 Gone."
    elif failing_for > LONGEST_FAILING:
        why = f"Every attempt failed for {LONGEST_FAILING.days} days. The last one: {outcome.error}"[:300]
    if why and disable_endpoint(endpoint=endpoint, why=why):
        logger.warning("a webhook endpoint was disabled", endpoint_id=str(endpoint.pk), why=why)
