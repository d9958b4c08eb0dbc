"""How an endpoint is doing: when it rests, when its people are warned, and when nothing more is sent to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db.models.functions import Now
from django.utils import timezone

from integrations.models import WebhookEndpoint
from integrations.services import notices
from integrations.services.endpoints import disable_endpoint
from integrations.services.schedule import Schedule

WARNED_AFTER: Final = timedelta(days=1)
LONGEST_FAILING: Final = timedelta(days=3)
GONE: Final = 410
# So many refusals on end, and the receiver is left alone for a while, as one that does not answer is at once.
_FAILURES_IN_A_ROW: Final = 5
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt; `status` is None when there was no answer, and `error` empty when it succeeded.

    `asked` is how long the receiver wants to be left alone.
    """

    status: int | None
    error: str
    answer: str = ""
    duration_ms: int | None = None
    asked: timedelta = timedelta(0)


def note_health(endpoint: WebhookEndpoint, outcomes: Sequence[Outcome], schedule: Schedule) -> None:
    """In the transaction that notes the outcomes; `endpoint` is the row as it was before these attempts."""
    failures, succeeded = endpoint.failures, any(not outcome.error for outcome in outcomes)
    for outcome in outcomes:
        failures = failures + 1 if outcome.error else 0
    last = outcomes[-1]
    tired = last.error and (last.status is None or failures >= _FAILURES_IN_A_ROW)
    rest = max(schedule.rest_after(failures) if tired else timedelta(0), *(outcome.asked for outcome in outcomes))
    since = None if succeeded else endpoint.failing_since
    facts: dict[str, Any] = {"failures": failures, "failing_since": (since or Now()) if failures else None}
    facts["rests_until"] = Now() + rest if rest else None
    if succeeded:
        facts |= {"last_success_at": Now(), "warned_at": None}
    WebhookEndpoint.objects.filter(pk=endpoint.pk, lease=endpoint.lease).update(**facts)
    if any(outcome.status == GONE for outcome in outcomes):
        _give_up(endpoint, "The receiver answered 410 Gone.", last)
    elif since is not None:
        _note_long_failure(endpoint, timezone.now() - since, last)


def _note_long_failure(endpoint: WebhookEndpoint, failing_for: timedelta, last: Outcome) -> None:
    if failing_for > LONGEST_FAILING:
        _give_up(endpoint, f"Every attempt failed for {LONGEST_FAILING.days} days. The last one: {last.error}"[:300], last)
    elif failing_for > WARNED_AFTER:
        unwarned = WebhookEndpoint.objects.filter(pk=endpoint.pk, status=WebhookEndpoint.Status.ENABLED, warned_at=None)
        if unwarned.update(warned_at=Now()):
            notices.publish(notices.FAILING, endpoint, error=last.error)


def _give_up(endpoint: WebhookEndpoint, why: str, last: Outcome) -> None:
    if disable_endpoint(endpoint=endpoint, why=why):
        logger.warning("a webhook endpoint was disabled", endpoint_id=str(endpoint.pk), why=why)
        notices.publish(notices.DISABLED, endpoint, error=last.error)
