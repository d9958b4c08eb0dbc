"""Making and changing endpoints."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.errors import EndpointLimitError
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services import deliveries, endpoints
from integrations.services.endpoints import NewSecret
from tenants.models import AuditEvent, Tenant

Make = Callable[..., NewSecret]


def actions() -> list[str]:
    return list(AuditEvent.objects.filter(action__startswith="webhook").order_by("id").values_list("action", flat=True))


def test_an_endpoint_is_made_enabled_and_noted(scope: Tenant, make_endpoint: Make) -> None:
    made = make_endpoint(description="CRM", event_types=["message.taken", "call.ended"], metadata={"a": "b"})
    row = WebhookEndpoint.objects.get()
    assert (row.status, row.description, row.metadata) == ("enabled", "CRM", {"a": "b"})
    assert row.event_types == ["call.ended", "message.taken"]
    assert actions() == ["webhook_endpoint.created"]
    assert made.secret != make_endpoint().secret


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"event_types": ["call.exploded"]}, "event_types"),
        ({"event_types": ["webhook.test"]}, "event_types"),
        ({"description": "x" * 301}, "description"),
    ],
)
def test_what_does_not_fit_is_named(scope: Tenant, make_endpoint: Make, fields: dict, at_fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_endpoint(**fields)
    assert list(refused.value.message_dict) == [at_fault]
    assert not WebhookEndpoint.objects.exists()


def test_loopback_and_http_need_the_setting(scope: Tenant, make_endpoint: Make, settings) -> None:
    settings.VP_OUTBOUND_LOOPBACK = False
    for url in ("http://example.com/", "https://127.0.0.1/", "https://localhost/"):
        with pytest.raises(ValidationError):
            make_endpoint(url=url)


def test_there_is_a_limit(scope: Tenant, make_endpoint: Make) -> None:
    for _ in range(endpoints.MOST_ENDPOINTS):
        make_endpoint()
    with pytest.raises(EndpointLimitError):
        make_endpoint()
    assert WebhookEndpoint.objects.count() == endpoints.MOST_ENDPOINTS


def test_changes_are_noted_by_field_and_no_change_is_not(scope: Tenant, make_endpoint: Make) -> None:
    row = make_endpoint(description="CRM").row
    endpoints.change_endpoint(endpoint=row, description="CRM")
    changed = endpoints.change_endpoint(endpoint=row, url="https://other.example.com/", event_types=["call.queued"])
    assert (changed.url, changed.event_types, changed.description) == ("https://other.example.com/", ["call.queued"], "CRM")
    assert AuditEvent.objects.get(action="webhook_endpoint.changed").fields == ["url", "event_types"]
    with pytest.raises(TypeError):
        endpoints.change_endpoint(endpoint=row, lease=None)


def test_disabling_and_enabling_happen_once(scope: Tenant, make_endpoint: Make) -> None:
    row = make_endpoint().row
    assert endpoints.disable_endpoint(endpoint=row) is True
    assert endpoints.disable_endpoint(endpoint=row, why="again") is False
    row.refresh_from_db()
    assert (row.status, row.disabled_reason) == ("disabled", endpoints.BY_HAND)
    WebhookEndpoint.objects.update(failing_since=timezone.now(), failures=3, rests_until=timezone.now())
    assert endpoints.enable_endpoint(endpoint=row) is True
    assert endpoints.enable_endpoint(endpoint=row) is False
    row.refresh_from_db()
    assert (row.status, row.disabled_reason, row.failing_since, row.failures, row.rests_until) == ("enabled", "", None, 0, None)
    assert actions() == ["webhook_endpoint.created", "webhook_endpoint.disabled", "webhook_endpoint.enabled"]


def test_the_old_secret_is_kept_for_a_day(scope: Tenant, make_endpoint: Make) -> None:
    made = make_endpoint()
    second = endpoints.rotate_secret(endpoint=made.row)
    row = WebhookEndpoint.objects.get()
    assert (row.secret.reveal(), row.previous_secret.reveal()) == (second.secret, made.secret)
    left = row.previous_secret_until - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


def test_deleting_takes_the_deliveries_along(scope: Tenant, make_endpoint: Make) -> None:
    row, other = make_endpoint().row, make_endpoint().row
    deliveries.send_test(endpoint=row)
    kept = deliveries.send_test(endpoint=other)
    endpoints.delete_endpoint(endpoint=row)
    assert list(WebhookDelivery.objects.all()) == [kept]
    assert list(WebhookEndpoint.objects.all()) == [other]
    assert AuditEvent.objects.get(action="webhook_endpoint.deleted").target_id == row.pk
