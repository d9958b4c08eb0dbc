"""Webhook endpoints of the tenant in scope: making, changing, disabling, and their secrets."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from integrations.errors import EndpointLimitError
from integrations.events import SELECTABLE
from integrations.models import WebhookEndpoint
from integrations.wakeups import wake_on_commit
from tenants.models import Tenant, User
from tenants.scope import current_tenant_id
from tenants.services import audit
from voiceplatform.lib.outbound_http import RefusedUrlError, parse_url

MOST_ENDPOINTS: Final = 20
OVERLAP: Final = timedelta(hours=24)
BY_HAND: Final = "Disabled by hand."
_SECRET_BYTES: Final = 32
_WELL: Final = {"failing_since": None, "failures": 0, "rests_until": None, "warned_at": None}
_CHANGEABLE: Final = ("url", "description", "event_types", "metadata")
Status = WebhookEndpoint.Status


@dataclass(frozen=True, slots=True)
class NewSecret:
    """`secret` signs the endpoint's events; it is never to be had again."""

    row: WebhookEndpoint
    secret: str


@transaction.atomic
def create_endpoint(
    *,
    url: str,
    description: str = "",
    event_types: Iterable[str] = (),
    metadata: Mapping[str, str] | None = None,
    actor: User | None = None,
) -> NewSecret:
    """An endpoint for `event_types`, or for all. Raises EndpointLimitError, and ValidationError naming the field."""
    given = {"url": url, "description": description, "event_types": list(event_types), "metadata": dict(metadata or {})}
    # The tenant's row orders two requests that would both be the last one allowed.
    Tenant.objects.select_for_update(no_key=True).get(pk=current_tenant_id())
    if WebhookEndpoint.objects.count() >= MOST_ENDPOINTS:
        raise EndpointLimitError(f"There are {MOST_ENDPOINTS} webhook endpoints already. Delete one first.")
    secret = _new_secret()
    row = WebhookEndpoint(**_checked(given), secret=secret)
    row.clean_fields(exclude=["tenant"])
    row.save(force_insert=True)
    row.refresh_from_db()
    audit.record(action="webhook_endpoint.created", target=row, actor=actor, fields=["url", "event_types"])
    return NewSecret(row=row, secret=secret)


@transaction.atomic
def change_endpoint(*, endpoint: WebhookEndpoint, actor: User | None = None, reason: str = "", **changes: Any) -> WebhookEndpoint:
    """Change url, description, event_types or metadata; gives the changed row. Raises ValidationError naming the field."""
    row = lock_endpoint(endpoint)
    before = {name: getattr(row, name) for name in _CHANGEABLE}
    for name, value in _checked(changes).items():
        setattr(row, name, value)
    row.clean_fields(exclude=["tenant"])
    if changed := [name for name in _CHANGEABLE if getattr(row, name) != before[name]]:
        row.save(update_fields=changed)
        audit.record(action="webhook_endpoint.changed", target=row, actor=actor, fields=changed, reason=reason)
    return row


@transaction.atomic
def update_endpoint(*, endpoint: WebhookEndpoint, status: str = "", actor: User | None = None, **changes: Any) -> WebhookEndpoint:
    """`change_endpoint`, and enable or disable it where `status` says so; gives the row as it is now."""
    row = change_endpoint(endpoint=endpoint, actor=actor, **changes)
    if status == Status.ENABLED:
        enable_endpoint(endpoint=row, actor=actor)
    elif status == Status.DISABLED:
        disable_endpoint(endpoint=row, actor=actor)
    row.refresh_from_db()
    return row


@transaction.atomic
def enable_endpoint(*, endpoint: WebhookEndpoint, actor: User | None = None, reason: str = "") -> bool:
    """Send to it again, first what has been waiting; say whether it was disabled."""
    disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, status=Status.DISABLED)
    changed = disabled.update(status=Status.ENABLED, disabled_reason="", disabled_at=None, **_WELL)
    if changed:
        audit.record(action="webhook_endpoint.enabled", target=endpoint, actor=actor, fields=["status"], reason=reason)
        wake_on_commit(endpoint.pk, tenant_id=endpoint.tenant_id)
    return bool(changed)


@transaction.atomic
def disable_endpoint(*, endpoint: WebhookEndpoint, why: str = BY_HAND, actor: User | None = None, reason: str = "") -> bool:
    """Send nothing more to it; say whether it was enabled. `why` is shown to the customer, `reason` is for the audit."""
    enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, status=Status.ENABLED)
    changed = enabled.update(status=Status.DISABLED, disabled_reason=why, disabled_at=Now())
    if changed:
        audit.record(action="webhook_endpoint.disabled", target=endpoint, actor=actor, fields=["status"], reason=reason or why)
    return bool(changed)


@transaction.atomic
def rotate_secret(*, endpoint: WebhookEndpoint, actor: User | None = None, reason: str = "") -> NewSecret:
    """A new secret; for OVERLAP events carry signatures of the old one, too."""
    row = lock_endpoint(endpoint)
    secret = _new_secret()
    row.previous_secret, row.previous_secret_until = row.secret.reveal(), timezone.now() + OVERLAP
    row.secret = secret
    row.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
    audit.record(action="webhook_endpoint.secret_rotated", target=row, actor=actor, fields=["secret"], reason=reason)
    return NewSecret(row=row, secret=secret)


@transaction.atomic
def delete_endpoint(*, endpoint: WebhookEndpoint, actor: User | None = None, reason: str = "") -> None:
    """Delete it with its deliveries, also those that have not been sent."""
    row = lock_endpoint(endpoint)
    audit.record(action="webhook_endpoint.deleted", target=row, actor=actor, reason=reason)
    row.delete()


def lock_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """The row as it is now, locked until the transaction ends. Raises WebhookEndpoint.DoesNotExist."""
    row: WebhookEndpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    return row


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(fields) - set(_CHANGEABLE)):
        raise TypeError(f"not fields of an endpoint that can be set: {', '.join(unknown)}")
    checked = dict(fields)
    if "url" in checked:
        checked["url"] = _url(checked["url"])
    if "event_types" in checked:
        checked["event_types"] = _event_types(checked["event_types"])
    return checked


def _url(url: str) -> str:
    """Where the name leads is seen when something is sent."""
    try:
        parse_url(url, allow_loopback=settings.VP_OUTBOUND_LOOPBACK)
    except RefusedUrlError as error:
        raise ValidationError({"url": str(error)}) from error
    return url


def _event_types(given: Iterable[str]) -> list[str]:
    wanted = set(given)
    if unknown := sorted(wanted - set(SELECTABLE)):
        raise ValidationError({"event_types": f"There is no event {', '.join(unknown)}. Known: {', '.join(SELECTABLE)}."})
    return [name for name in SELECTABLE if name in wanted]


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"
