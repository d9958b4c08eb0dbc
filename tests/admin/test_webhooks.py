"""Staff see where events go and what became of them, and act with a reason."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services.deliveries import send_test
from integrations.services.endpoints import NewSecret, create_endpoint
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope

RIGHTS = ("view_webhookendpoint", "view_webhookdelivery", "change_webhookendpoint")
ACTIONS = ("test", "disable", "enable", "rotate")


@pytest.fixture
def made(tenant: Tenant) -> NewSecret:
    with tenant_scope(tenant):
        return create_endpoint(url="https://hooks.example.com/", description="CRM")


@pytest.fixture
def sent(made: NewSecret) -> WebhookDelivery:
    with tenant_scope(made.row.tenant_id):
        return send_test(endpoint=made.row)


def act(client: Client, made: NewSecret, action: str, reason: str = "asked for") -> int:
    url = reverse(f"admin:integrations_webhookendpoint_{action}", args=[made.row.pk])
    return client.post(url, {"reason": reason}).status_code


def test_the_pages_show_everything_but_the_secret(root: Client, made: NewSecret, sent: WebhookDelivery) -> None:
    endpoint = root.get(reverse("admin:integrations_webhookendpoint_change", args=[made.row.pk])).content.decode()
    delivery = root.get(reverse("admin:integrations_webhookdelivery_change", args=[sent.pk])).content.decode()
    assert "https://hooks.example.com/" in endpoint
    assert made.secret not in endpoint + delivery
    assert made.row.public_id in delivery


def test_staff_act_with_a_reason(staff: Callable[..., Client], made: NewSecret) -> None:
    client = staff(made.row.tenant, *RIGHTS)
    for action, status in (("disable", "disabled"), ("enable", "enabled")):
        act(client, made, action, reason="")
        assert WebhookEndpoint.all_objects.get().status != status
        act(client, made, action)
        assert WebhookEndpoint.all_objects.get().status == status
    act(client, made, "test")
    assert WebhookDelivery.all_objects.count() == 1
    assert AuditEvent.all_objects.filter(action__startswith="webhook_endpoint.", reason="asked for").count() == 3


def test_a_rotated_secret_is_shown_once(staff: Callable[..., Client], made: NewSecret) -> None:
    client = staff(made.row.tenant, *RIGHTS)
    url = reverse("admin:integrations_webhookendpoint_rotate", args=[made.row.pk])
    page = client.post(url, {"reason": "leaked"}).content.decode()
    secret = WebhookEndpoint.all_objects.get().secret.reveal()
    assert secret != made.secret
    assert secret in page.replace("&#x2B;", "+")
    assert client.get(url).status_code == 405


def test_a_delivery_is_sent_again(staff: Callable[..., Client], sent: WebhookDelivery) -> None:
    WebhookDelivery.all_objects.update(status="dead", settled_at=timezone.now(), attempts=10)
    url = reverse("admin:integrations_webhookdelivery_resend", args=[sent.pk])
    assert staff(sent.tenant, *RIGHTS).post(url, {"reason": "mended"}).status_code == 302
    assert (WebhookDelivery.all_objects.get().status, WebhookDelivery.all_objects.get().attempts) == ("pending", 0)


def test_readers_and_strangers_change_nothing(
    staff: Callable[..., Client], made: NewSecret, sent: WebhookDelivery, other_tenant: Tenant
) -> None:
    reader, stranger = staff(made.row.tenant, *RIGHTS[:2]), staff(other_tenant, *RIGHTS)
    before = WebhookEndpoint.all_objects.values().get()
    for action in ACTIONS:
        assert (act(reader, made, action), act(stranger, made, action)) == (403, 404)
    resend = reverse("admin:integrations_webhookdelivery_resend", args=[sent.pk])
    assert [client.post(resend, {"reason": "x"}).status_code for client in (reader, stranger)] == [403, 404]
    for page, row in (("webhookendpoint", made.row), ("webhookdelivery", sent)):
        assert stranger.get(reverse(f"admin:integrations_{page}_change", args=[row.pk])).status_code == 404
    assert WebhookEndpoint.all_objects.values().get() == before
    assert WebhookDelivery.all_objects.get() == sent
