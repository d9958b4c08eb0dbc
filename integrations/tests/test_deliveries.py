"""From news to deliveries: one per endpoint that takes it, and again when somebody asks."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.errors import EndpointDisabledError
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services import deliveries, endpoints
from integrations.services.endpoints import NewSecret
from integrations.tests.conftest import drain, statuses
from tenants.models import AuditEvent, OutboxDelivery, OutboxEvent, Tenant, User
from tenants.scope import tenant_scope
from tenants.services import jobs

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., NewSecret]
Happen = Callable[..., OutboxEvent]
rows = WebhookDelivery.all_objects


def test_an_event_becomes_a_delivery_for_each_endpoint_that_takes_it(
    tenant: Tenant, other_tenant: Tenant, make_endpoint: Make, happen: Happen
) -> None:
    for_all, chosen = make_endpoint().row, make_endpoint(event_types=["feature.changed", "call.ended"]).row
    make_endpoint(event_types=["call.ended"])
    make_endpoint(owner=other_tenant)
    with tenant_scope(tenant):
        endpoints.disable_endpoint(endpoint=make_endpoint().row)
    thing = uuid4()
    happen(thing)
    event = happen(thing)
    drain()
    found = rows.filter(event_id=event.pk)
    assert set(found.values_list("endpoint", flat=True)) == {for_all.pk, chosen.pk}
    assert rows.count() == 4
    at = event.created_at.isoformat().replace("+00:00", "Z")
    told = {"object": "event", "id": event.public_id, "type": "feature.changed", "timestamp": at, "sequence": 2}
    assert found.first().payload == {**told, "data": {"key": str(thing), "enabled": True}}


def test_news_told_twice_is_noted_once(make_endpoint: Make, happen: Happen) -> None:
    make_endpoint()
    happen()
    drain()
    OutboxDelivery.all_objects.update(status="pending", settled_at=None)
    drain()
    assert rows.count() == 1


def test_noting_wakes_the_sending_with_the_tenant(
    tenant: Tenant, make_endpoint: Make, happen: Happen, sent_messages: Callable[[], list[dict[str, Any]]]
) -> None:
    row = make_endpoint().row
    happen()
    drain()
    message = sent_messages()[-1]
    assert (message["task"], message["args"]) == ("integrations.tasks.deliver_endpoint", [str(row.pk)])
    assert message["headers"]["vp_tenant_id"] == str(tenant.pk)


def test_a_test_event_goes_to_one_endpoint_whatever_it_takes(scope: Tenant, make_endpoint: Make) -> None:
    row, _other = make_endpoint(event_types=["call.ended"]).row, make_endpoint().row
    first, second = deliveries.send_test(endpoint=row), deliveries.send_test(endpoint=row)
    assert (first.event_type, first.sequence, second.sequence) == ("webhook.test", 1, 2)
    assert first.payload["data"] == {"endpoint_id": row.public_id}
    assert set(rows.values_list("endpoint", flat=True)) == {row.pk}


def test_a_disabled_endpoint_is_sent_nothing(scope: Tenant, make_endpoint: Make) -> None:
    row = make_endpoint().row
    sent = deliveries.send_test(endpoint=row)
    endpoints.disable_endpoint(endpoint=row)
    for attempt in (
        lambda: deliveries.send_test(endpoint=row),
        lambda: deliveries.resend(delivery=sent),
        lambda: deliveries.begin_replay(endpoint=row, since=timezone.now()),
    ):
        with pytest.raises(EndpointDisabledError):
            attempt()
    assert rows.count() == 1


def test_a_settled_one_is_sent_again_under_its_id(scope: Tenant, make_endpoint: Make, make_user: Callable[..., User]) -> None:
    sent = deliveries.send_test(endpoint=make_endpoint().row)
    for status in ("done", "dead"):
        rows.update(status=status, settled_at=timezone.now(), attempts=10)
        again = deliveries.resend(delivery=sent, actor=make_user(), reason="asked for")
        assert (again.pk, again.event_id) == (sent.pk, sent.event_id)
        assert (again.status, again.attempts, again.settled_at) == ("pending", 0, None)
    assert AuditEvent.objects.filter(action="webhook_delivery.resent", reason="asked for").count() == 2


def test_one_that_is_being_sent_is_left_alone(scope: Tenant, make_endpoint: Make) -> None:
    sent = deliveries.send_test(endpoint=make_endpoint().row)
    rows.update(attempts=3, leased_until=timezone.now() + timedelta(seconds=30))
    assert deliveries.resend(delivery=sent).attempts == 3


def test_a_replay_sends_what_failed_and_what_was_missed(tenant: Tenant, make_endpoint: Make, happen: Happen) -> None:
    row, began = make_endpoint().row, timezone.now()
    happen()
    happen()
    drain()
    first, second = rows.order_by("id")
    rows.filter(pk=first.pk).update(status="dead", settled_at=timezone.now(), attempts=10)
    rows.filter(pk=second.pk).update(status="done", settled_at=timezone.now())
    with tenant_scope(tenant):
        endpoints.disable_endpoint(endpoint=row)
        missed = happen()
        drain()
        assert rows.count() == 2
        endpoints.enable_endpoint(endpoint=row)
        assert replayed(row, began) == ("succeeded", 2, 2, {"queued": 2})
        assert replayed(row, began) == ("succeeded", 0, 0, {})
        with pytest.raises(ValidationError):
            deliveries.begin_replay(endpoint=row, since=timezone.now() - timedelta(days=31))
    assert statuses() == ["pending", "done", "pending"]
    assert rows.order_by("id").last().event_id == missed.pk


def replayed(row: WebhookEndpoint, since: datetime) -> tuple[Any, ...]:
    job = deliveries.begin_replay(endpoint=row, since=since)
    jobs.run(job_id=job.pk)
    job.refresh_from_db()
    return job.state, job.total, job.done, job.result


def test_a_replay_goes_on_where_it_stopped(
    tenant: Tenant, make_endpoint: Make, happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_BATCH", 2)
    row, began = make_endpoint(event_types=["feature.changed"]).row, timezone.now()
    for _ in range(3):
        happen()
    drain()
    rows.update(status="dead", settled_at=timezone.now())
    with tenant_scope(tenant):
        endpoints.disable_endpoint(endpoint=row)
        missed = [happen().pk for _ in range(3)]
        drain()
        endpoints.enable_endpoint(endpoint=row)
        job = deliveries.begin_replay(endpoint=row, since=began)
        for done in (2, 3, 5, 6):
            jobs.run(job_id=job.pk, lasts_s=0)
            job.refresh_from_db()
            assert (job.done, job.total) == (done, 6)
        happen()
        jobs.run(job_id=job.pk)
    assert (statuses(), [row.event_id for row in rows.order_by("id")][3:]) == (["pending"] * 6, missed)


def test_a_replay_is_asked_for_where_no_handlers_are_loaded(
    tenant: Tenant, make_endpoint: Make, happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, began = make_endpoint().row, timezone.now()
    with tenant_scope(tenant):
        endpoints.disable_endpoint(endpoint=row)
        missed = happen()
        drain()
        endpoints.enable_endpoint(endpoint=row)
        with monkeypatch.context() as web:
            web.setattr(deliveries, "PAYLOADS", {})
            job = deliveries.begin_replay(endpoint=row, since=began)
        jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (rows.get().event_id, job.total, job.result) == (missed.pk, 1, {"queued": 1})


def test_a_replay_to_an_endpoint_that_is_disabled_meanwhile_fails(tenant: Tenant, make_endpoint: Make, happen: Happen) -> None:
    row, began = make_endpoint().row, timezone.now()
    happen()
    drain()
    rows.update(status="dead", settled_at=timezone.now())
    with tenant_scope(tenant):
        job = deliveries.begin_replay(endpoint=row, since=began)
        endpoints.disable_endpoint(endpoint=row)
        jobs.run(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, statuses()) == ("failed", ["dead"])
    assert "disabled" in job.error


def test_old_deliveries_are_forgotten(scope: Tenant, make_endpoint: Make) -> None:
    row = make_endpoint().row
    old, new = deliveries.send_test(endpoint=row), deliveries.send_test(endpoint=row)
    rows.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert deliveries.forget_old_deliveries() == 1
    assert list(rows.all()) == [new]
