"""Webhooks over the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import ApiClient
from integrations.events import EVENT_TYPES
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services import deliveries, endpoints
from integrations.services.endpoints import NewSecret
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope

Make = Callable[..., NewSecret]
URL = "https://hooks.example.com/in"


@pytest.fixture
def hook(make_endpoint: Make) -> WebhookEndpoint:
    return make_endpoint(description="CRM").row


@pytest.fixture
def sent(hook: WebhookEndpoint) -> WebhookDelivery:
    with tenant_scope(hook.tenant_id):
        return deliveries.send_test(endpoint=hook)


def digest() -> list[Any]:
    """Everything a stranger must not be able to change."""
    hooks = WebhookEndpoint.all_objects.order_by("pk").values()
    return [list(hooks), list(WebhookDelivery.all_objects.order_by("pk").values())]


def test_an_endpoint_is_created_and_its_secret_shown_once(api: ApiClient, tenant: Tenant) -> None:
    body = {"url": URL, "event_types": ["message.taken", "call.ended"], "metadata": {"team": "sales"}}
    made = api.post("webhook_endpoints", body)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["url"], shown["event_types"], shown["status"]) == (URL, ["call.ended", "message.taken"], "enabled")
    row = WebhookEndpoint.all_objects.get()
    assert (row.public_id, row.tenant_id, row.secret.reveal()) == (shown["id"], tenant.pk, shown["secret"])
    fetched = api.get(f"webhook_endpoints/{shown['id']}")
    assert fetched.json() == {name: value for name, value in shown.items() if name != "secret"}
    assert fetched.headers["ETag"] == made.headers["ETag"]
    assert shown["secret"] not in api.get("webhook_endpoints").content.decode()
    assert AuditEvent.all_objects.get(action="webhook_endpoint.created").api_key_id is not None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": 5}, "url"),
        ({"url": URL, "event_types": ["call.exploded"]}, "event_types.0"),
        ({"url": URL, "event_types": "call.ended"}, "event_types"),
        ({"url": URL, "secret": "whsec_mine"}, "secret"),
        ({"url": URL, "status": "enabled"}, "status"),
        ({"url": URL, "metadata": {"a": {"b": "c"}}}, "metadata.a"),
    ],
)
def test_what_does_not_fit_is_named(api: ApiClient, body: dict, param: str) -> None:
    refused = api.post("webhook_endpoints", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert param in [error["param"] for error in refused.json()["errors"]]
    assert not WebhookEndpoint.all_objects.exists()


def test_the_limit_is_a_conflict(api: ApiClient, make_endpoint: Make) -> None:
    for _ in range(endpoints.MOST_ENDPOINTS):
        make_endpoint()
    assert api.post("webhook_endpoints", {"url": URL}).json()["code"] == "webhook_endpoint_limit"


def test_a_change_needs_the_state_it_was_made_for(api: ApiClient, hook: WebhookEndpoint) -> None:
    path = f"webhook_endpoints/{hook.public_id}"
    etag = api.get(path).headers["ETag"]
    WebhookEndpoint.all_objects.update(last_success_at=timezone.now(), failures=2)
    assert api.get(path).headers["ETag"] == etag, "deliveries do not make it another configuration"
    changed = api.patch(path, {"description": "ERP"}, headers={"If-Match": etag})
    assert (changed.status_code, changed.json()["description"]) == (200, "ERP")
    late = api.patch(path, {"description": "late"}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert api.get(path).json()["description"] == "ERP"
    assert api.get(path).headers["ETag"] == changed.headers["ETag"]


def test_status_is_changed_like_any_field(api: ApiClient, hook: WebhookEndpoint) -> None:
    path = f"webhook_endpoints/{hook.public_id}"
    disabled = api.patch(path, {"status": "disabled"}).json()
    assert (disabled["status"], disabled["disabled_reason"], disabled["description"]) == ("disabled", "Disabled by hand.", "CRM")
    assert api.post(f"{path}/test").json()["code"] == "webhook_endpoint_disabled"
    assert [row["id"] for row in api.get("webhook_endpoints?status=disabled").json()["data"]] == [hook.public_id]
    assert api.patch(path, {"status": "enabled"}).json()["disabled_reason"] == ""
    assert api.patch(path, {"status": "gone"}).status_code == 400
    assert api.patch(path, {"id": hook.public_id}).json()["errors"][0]["param"] == "id"


def test_a_secret_is_rotated(api: ApiClient, hook: WebhookEndpoint) -> None:
    before = hook.secret.reveal()
    rotated = api.post(f"webhook_endpoints/{hook.public_id}/rotate_secret").json()
    row = WebhookEndpoint.all_objects.get()
    assert (row.secret.reveal(), row.previous_secret.reveal()) == (rotated["secret"], before)
    assert rotated["previous_secret_until"] is not None


def test_an_endpoint_is_deleted(api: ApiClient, hook: WebhookEndpoint, sent: WebhookDelivery) -> None:
    assert api.delete(f"webhook_endpoints/{hook.public_id}").status_code == 204
    assert digest() == [[], []]
    assert api.get(f"webhook_endpoints/{hook.public_id}").status_code == 404


def test_a_test_event_is_sent_once_per_idempotency_key(api: ApiClient, hook: WebhookEndpoint) -> None:
    path = f"webhook_endpoints/{hook.public_id}/test"
    first, again = (api.post(path, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, first.json(), again.json()) == (202, again.json(), first.json())
    assert WebhookDelivery.all_objects.get().public_id == first.json()["id"]
    assert first.json()["payload"]["type"] == "webhook.test"


def test_deliveries_are_listed_filtered_and_fetched(api: ApiClient, hook: WebhookEndpoint, sent: WebhookDelivery) -> None:
    with tenant_scope(hook.tenant_id):
        newest = deliveries.send_test(endpoint=hook)
    WebhookDelivery.all_objects.filter(pk=sent.pk).update(status="done", settled_at=timezone.now(), last_status=204)
    path = f"webhook_endpoints/{hook.public_id}/deliveries"
    found = api.get(path).json()["data"]
    assert [row["id"] for row in found] == [newest.public_id, sent.public_id]
    assert [(row["next_attempt_at"] is None, row["last_status"]) for row in found] == [(False, None), (True, 204)]
    assert [row["id"] for row in api.get(f"{path}?status=done").json()["data"]] == [sent.public_id]
    assert api.get(f"{path}?type=call.ended").json()["data"] == []
    for refused in ("status=lost", "type=x", "colour=red"):
        assert api.get(f"{path}?{refused}").status_code == 400
    assert api.get(f"webhook_deliveries/{sent.public_id}").json() == found[1]
    assert len(api.get(f"{path}?limit=1").json()["data"]) == 1


def test_a_delivery_is_sent_again(api: ApiClient, sent: WebhookDelivery) -> None:
    WebhookDelivery.all_objects.update(status="dead", settled_at=timezone.now(), attempts=10)
    again = api.post(f"webhook_deliveries/{sent.public_id}/resend")
    assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (202, "pending", 0)
    assert again.json()["event_id"] == sent.payload["id"]


def test_a_replay_names_its_moment(api: ApiClient, hook: WebhookEndpoint, sent: WebhookDelivery) -> None:
    WebhookDelivery.all_objects.update(status="dead", settled_at=timezone.now())
    path = f"webhook_endpoints/{hook.public_id}/replay"
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    accepted = api.post(path, {"since": since})
    assert (accepted.status_code, accepted.json()["kind"], accepted.json()["state"]) == (202, "webhooks.replay", "queued")
    assert accepted["Location"] == f"/api/v1/jobs/{accepted.json()['id']}"
    refused = api.post(path, {"since": "2020-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (400, "since")


def test_every_event_type_is_documented_with_an_example(api: ApiClient) -> None:
    found = api.get("event_types").json()["data"]
    assert [row["type"] for row in found] == list(EVENT_TYPES)
    for row in found:
        assert (row["example"]["type"], row["example"]["object"]) == (row["type"], "event")
        assert row["description"]


REQUESTS = [
    ("get", "webhook_endpoints/{hook}", "webhooks:read", None),
    ("patch", "webhook_endpoints/{hook}", "webhooks:write", {"description": "x"}),
    ("post", "webhook_endpoints/{hook}/rotate_secret", "webhooks:write", None),
    ("post", "webhook_endpoints/{hook}/test", "webhooks:write", None),
    ("post", "webhook_endpoints/{hook}/replay", "webhooks:write", {"since": timezone.now().isoformat()}),
    ("get", "webhook_endpoints/{hook}/deliveries", "webhooks:read", None),
    ("get", "webhook_deliveries/{sent}", "webhooks:read", None),
    ("post", "webhook_deliveries/{sent}/resend", "webhooks:write", None),
    ("delete", "webhook_endpoints/{hook}", "webhooks:write", None),
]


@pytest.mark.parametrize(("method", "path", "scope_name", "body"), REQUESTS)
def test_only_the_owner_with_the_scope_may(
    api: ApiClient, stranger: ApiClient, make_api: Callable[..., ApiClient], tenant: Tenant, sent: WebhookDelivery,
    method: str, path: str, scope_name: str, body: Any,
) -> None:  # fmt: skip
    path = path.format(hook=sent.endpoint.public_id, sent=sent.public_id)

    def ask(client: ApiClient) -> int:
        answer = client.send(method, path, body) if method in ("post", "patch") else getattr(client, method)(path)
        return int(answer.status_code)

    before, powerless = (
        digest(),
        make_api(tenant, scopes=["calls:read", "webhooks:read"] if "write" in scope_name else ["calls:read"]),
    )
    assert (ask(stranger), ask(powerless)) == (404, 403)
    assert digest() == before
    assert ask(api) in (200, 202, 204)


def test_strangers_see_nothing_in_lists(stranger: ApiClient, hook: WebhookEndpoint) -> None:
    assert stranger.get("webhook_endpoints").json()["data"] == []
