"""Telling people by e-mail that an endpoint fails, or that nothing more is sent to it."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from integrations.models import WebhookEndpoint
from tenants import outbox
from tenants.models import Membership, OutboxEvent
from tenants.roles import ROLE_SCOPES
from tenants.services import audit
from voiceplatform.lib.ids import to_public_id

FAILING: Final = "webhook_endpoint.failing"
DISABLED: Final = "webhook_endpoint.disabled"
_SUBJECTS: Final = {FAILING: "Webhooks to {} are failing", DISABLED: "Webhooks to {} have been switched off"}
_NEEDED_SCOPE: Final = "webhooks:write"
logger = structlog.get_logger(__name__)


def publish(topic: str, endpoint: WebhookEndpoint, *, error: str) -> None:
    """Have a notice sent once the current transaction commits."""
    since = endpoint.failing_since or timezone.now()
    data = {"error": error[:300], "since": since.isoformat()}
    outbox.publish(topic=topic, object_type="webhook_endpoint", object_id=endpoint.pk, data=data)


def send(event: outbox.Event) -> None:
    """Send one e-mail to everybody who may mend the endpoint. Raises what the mail server's refusal is to Django."""
    endpoint = WebhookEndpoint.objects.select_related("tenant").filter(pk=event.object_id).first()
    if endpoint is None:
        return
    people = recipients()
    if not people:
        logger.error("nobody can be told about a webhook endpoint: set VP_OPERATOR_EMAILS", endpoint_id=endpoint.public_id)
        audit.record(action="webhook_endpoint.notice_unsent", target=endpoint, data={"topic": event.topic})
        return
    _message(event, endpoint, people).send()
    audit.record(action="webhook_endpoint.notice_sent", target=endpoint, data={"topic": event.topic})


def recipients() -> list[str]:
    """The tenant's people who may change its webhooks, else the operators of the platform."""
    roles = [role for role, scopes in ROLE_SCOPES.items() if _NEEDED_SCOPE in scopes]
    members = Membership.objects.filter(role__in=roles, user__is_active=True).exclude(user__email="")
    found = list(members.order_by("user__email").values_list("user__email", flat=True).distinct())
    return found or list(settings.VP_OPERATOR_EMAILS)


def _message(event: outbox.Event, endpoint: WebhookEndpoint, people: list[str]) -> EmailMessage:
    base, api = settings.VP_WEB_URL.rstrip("/"), f"/api/v1/webhook_endpoints/{endpoint.public_id}"
    since = datetime.fromisoformat(event.data["since"])
    text = render_to_string(
        f"mail/{event.topic.replace('.', '_')}.txt",
        {
            "endpoint": endpoint,
            "error": event.data["error"],
            "since": since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "local_since": since.astimezone(ZoneInfo(endpoint.tenant.timezone)),
            "api": f"{base}{api}",
            "docs": f"{base}/api/docs",
            "page": base + reverse("admin:integrations_webhookendpoint_change", args=[endpoint.pk]),
        },
    )
    # The same id on a message that had to be sent again lets mail programs show one.
    own_id = f"<{to_public_id(OutboxEvent.public_prefix, event.id)}@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2].strip('> ')}>"
    # A line break ends a header.
    subject = " ".join(_SUBJECTS[event.topic].format(endpoint.description or endpoint.url).split())
    return EmailMessage(subject[:150], text, to=people, headers={"Message-ID": own_id})
