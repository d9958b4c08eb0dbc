"""Sending: signed, in order, again after failures, given up in the end, and by one process at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.selectors import ready_endpoints
from integrations.services import deliveries, endpoints, sending, sweeps
from integrations.services.endpoints import NewSecret
from integrations.services.schedule import LONGEST_ASKED, Schedule, asked_pause
from integrations.tests.conftest import Customer, drain, statuses
from tenants.models import AuditEvent, OutboxEvent, Tenant
from tenants.scope import tenant_scope
from voiceplatform.lib.outbound_http import OutboundClient

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., NewSecret]
Happen = Callable[..., OutboxEvent]
Sent = Callable[[], list[dict[str, Any]]]
rows, hooks = WebhookDelivery.all_objects, WebhookEndpoint.all_objects


@pytest.fixture
def hook(customer: Customer, make_endpoint: Make) -> NewSecret:
    return make_endpoint(url=customer.url)


def run(made: NewSecret, **options: Any) -> int:
    with tenant_scope(made.row.tenant_id):
        return sending.deliver(endpoint_id=made.row.pk, **options)


def due_again() -> None:
    rows.filter(status="pending").update(next_at=timezone.now(), leased_until=None)
    hooks.update(rests_until=None)


def test_an_event_is_posted_signed(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    event = happen()
    drain()
    assert run(hook) == 1
    assert run(hook) == 0
    (told,) = customer.verified(hook.secret)
    assert told["id"] == event.public_id
    headers, _ = customer.got[0]
    assert (headers["Webhook-Id"], headers["Content-Type"]) == (event.public_id, "application/json")
    row = rows.get()
    assert (row.status, row.attempts, row.last_status, row.last_error, row.last_answer) == ("done", 1, 200, "", "thanks�")
    assert hooks.get().last_success_at is not None
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_c29tZXRoaW5nIGVsc2U=").verify(customer.got[0][1], headers)


def test_during_a_rotation_both_secrets_verify(hook: NewSecret, customer: Customer, happen: Happen, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        second = endpoints.rotate_secret(endpoint=hook.row).secret
    happen()
    drain()
    run(hook)
    assert customer.verified(hook.secret) == customer.verified(second)
    hooks.update(previous_secret_until=timezone.now())
    customer.got.clear()
    happen()
    drain()
    run(hook)
    assert len(customer.verified(second)) == 1
    with pytest.raises(WebhookVerificationError):
        customer.verified(hook.secret)


def test_retries_wait_longer_and_longer_for_three_days_and_keep_the_id(
    hook: NewSecret, customer: Customer, happen: Happen
) -> None:
    customer.answers = [500]
    happen()
    drain()
    planned = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    for attempt, wanted in enumerate(planned, start=1):
        assert run(hook) == 1
        row = rows.get()
        pause = (row.next_at - row.last_attempt_at).total_seconds()
        assert (row.status, row.attempts, row.last_error) == ("pending", attempt, "The receiver answered 500.")
        assert 0.8 * wanted <= pause <= 1.2 * wanted + 1
        assert run(hook) == 0
        due_again()
    run(hook)
    assert (rows.get().status, rows.get().attempts) == ("dead", 10)
    assert len({event["id"] for event in customer.verified(hook.secret)}) == 1
    assert 3 <= sum(planned) / 86400 <= 3.5


def test_a_failing_event_holds_back_its_object_only(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    thing, other = uuid4(), uuid4()
    for about in (thing, thing, other):
        happen(about)
    drain()
    customer.answers = [500, 200]
    run(hook)
    keys = [(event["data"]["key"], event["sequence"]) for event in customer.verified(hook.secret)]
    assert keys == [(str(thing), 1), (str(other), 1)]
    rows.filter(status="pending", sequence=1).update(status="dead", settled_at=timezone.now())
    run(hook)
    assert customer.verified(hook.secret)[-1]["sequence"] == 2
    assert sorted(statuses()) == ["dead", "done", "done"]


@pytest.mark.parametrize("status", [300, 307, 400, 404, 429, 503])
def test_only_a_2xx_is_a_success(hook: NewSecret, customer: Customer, happen: Happen, status: int) -> None:
    customer.answers = [status]
    happen()
    drain()
    run(hook)
    assert (rows.get().status, rows.get().last_status, len(customer.got)) == ("pending", status, 1)
    assert hooks.get().failing_since is not None


def test_410_disables_the_endpoint(hook: NewSecret, customer: Customer, happen: Happen, tenant: Tenant) -> None:
    customer.answers = [410]
    happen()
    happen()
    drain()
    assert run(hook) == 1
    assert statuses() == ["dead", "pending"]
    assert (hooks.get().status, hooks.get().disabled_reason) == ("disabled", "The receiver answered 410 Gone.")
    assert run(hook) == 0
    with tenant_scope(tenant):
        assert AuditEvent.objects.get(action="webhook_endpoint.disabled").actor_id is None


def test_an_endpoint_that_fails_for_three_days_is_disabled_and_a_success_starts_anew(
    hook: NewSecret, customer: Customer, happen: Happen
) -> None:
    customer.answers = [500, 200, 500]
    for _ in range(3):
        happen()
        drain()
        hooks.filter(status="enabled").update(failing_since=timezone.now() - timedelta(days=2, hours=23))
        run(hook)
    assert hooks.get().status == "enabled"
    due_again()
    run(hook)
    assert hooks.get().failures == 3
    hooks.update(failing_since=timezone.now() - timedelta(days=3, minutes=1), rests_until=None)
    due_again()
    run(hook)
    assert hooks.get().status == "disabled"
    assert hooks.get().disabled_reason == "Every attempt failed for 3 days. The last one: The receiver answered 500."


def test_who_does_not_answer_is_left_alone_for_a_while(tenant: Tenant, make_endpoint: Make, happen: Happen) -> None:
    made = make_endpoint(url="http://127.0.0.1:9/")
    for _ in range(3):
        happen()
    drain()
    assert run(made) == 1
    row = hooks.get()
    assert timedelta(seconds=3) < row.rests_until - timezone.now() <= timedelta(seconds=5)
    assert rows.filter(attempts=1).get().last_error == "127.0.0.1 did not take the connection."
    assert run(made) == 0
    hooks.update(rests_until=None)
    assert run(made) == 1
    assert hooks.get().rests_until - timezone.now() > timedelta(seconds=8)


def test_an_address_that_is_no_longer_public_is_not_called(make_endpoint: Make, happen: Happen, settings: Any) -> None:
    made = make_endpoint()
    settings.VP_OUTBOUND_LOOPBACK = False
    happen()
    drain()
    run(made, client=OutboundClient(resolve=lambda _host, _port: ["169.254.169.254"]))
    assert rows.get().last_error == "The address 169.254.169.254 is not on the public internet."
    assert rows.get().status == "pending"


def test_one_process_sends_to_an_endpoint_at_a_time(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    happen()
    drain()
    hooks.update(leased_until=timezone.now() + timedelta(seconds=45), lease=uuid4())
    assert run(hook) == 0
    assert customer.got == []
    hooks.update(leased_until=timezone.now())
    assert run(hook) == 1
    assert (hooks.get().lease, hooks.get().leased_until) == (None, None)


def test_nothing_is_sent_inside_a_transaction(hook: NewSecret, happen: Happen) -> None:
    inside: list[bool] = []

    def resolve(_host: str, _port: int) -> list[str]:
        inside.append(outer.in_atomic_block)
        return ["127.0.0.1"]

    outer = connections["default"]
    hooks.update(url=hook.row.url.replace("127.0.0.1", "hooks.example.com"))
    happen()
    drain()
    run(hook, client=OutboundClient(allow_loopback=True, resolve=resolve))
    assert inside == [False]
    assert statuses() == ["done"]


def test_an_endpoint_disabled_meanwhile_is_sent_no_more(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        hooks.update(status="disabled", disabled_reason="enough", disabled_at=timezone.now())
        connection.close()
        return ["127.0.0.1"]

    hooks.update(url=hook.row.url.replace("127.0.0.1", "hooks.example.com"))
    for _ in range(3):
        happen()
    drain()
    assert run(hook, client=OutboundClient(allow_loopback=True, resolve=resolve)) == 1
    assert statuses() == ["done", "pending", "pending"]
    assert len(customer.got) == 1


def test_what_lies_beyond_the_time_of_a_run_is_woken_again(
    hook: NewSecret, happen: Happen, sent_messages: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        happen()
    drain()
    before = len(sent_messages())
    monkeypatch.setattr(sending, "RUN_S", 0.0)
    assert run(hook) == 0
    assert len(sent_messages()) == before + 1
    assert sent_messages()[-1]["args"] == [str(hook.row.pk)]


def test_a_run_that_was_killed_costs_an_attempt_and_no_event(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    happen()
    drain()
    rows.update(attempts=10, leased_until=timezone.now(), lease=uuid4())
    assert run(hook) == 0
    assert (rows.get().status, rows.get().last_error) == ("dead", "The last attempt was cut off.")
    rows.update(status="pending", settled_at=None, attempts=3, leased_until=timezone.now() + timedelta(seconds=9))
    assert run(hook) == 0
    rows.update(leased_until=timezone.now())
    assert run(hook) == 1
    assert rows.get().attempts == 4


def test_a_secret_that_cannot_be_read_sends_nothing(hook: NewSecret, customer: Customer, happen: Happen, settings: Any) -> None:
    happen()
    drain()
    settings.FIELD_ENCRYPTION_KEYS = ["bmV3IGtleSBmb3IgdGhlIHRlc3RzLCAzMiBieXRlcyE"]
    assert run(hook) == 1
    assert customer.got == []
    assert "cannot be read" in rows.get().last_error


def test_the_sweep_wakes_whoever_has_something_due(
    tenant: Tenant, other_tenant: Tenant, make_endpoint: Make, happen: Happen, sent_messages: Sent
) -> None:
    mine, theirs = make_endpoint().row, make_endpoint(owner=other_tenant).row
    make_endpoint(event_types=["call.ended"])
    for owner in (tenant, other_tenant):
        happen(owner=owner)
    drain()
    before = len(sent_messages())
    assert sweeps.sweep() == 2
    woken = {(m["args"][0], m["headers"]["vp_tenant_id"]) for m in sent_messages()[before:]}
    assert woken == {(str(mine.pk), str(tenant.pk)), (str(theirs.pk), str(other_tenant.pk))}
    rows.update(next_at=timezone.now() + timedelta(minutes=1))
    assert sweeps.sweep() == 0
    assert not ready_endpoints(hooks, rows).exists()


def test_a_strangers_endpoint_is_not_sent_to(hook: NewSecret, customer: Customer, happen: Happen, other_tenant: Tenant) -> None:
    happen()
    drain()
    with tenant_scope(other_tenant):
        assert sending.deliver(endpoint_id=hook.row.pk) == 0
    assert (customer.got, statuses()) == ([], ["pending"])


def test_a_test_event_arrives(hook: NewSecret, customer: Customer, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        deliveries.send_test(endpoint=hook.row)
    run(hook)
    (told,) = customer.verified(hook.secret)
    assert (told["type"], told["data"]) == ("webhook.test", {"endpoint_id": hook.row.public_id})


def seconds(text: str) -> float:
    return asked_pause(text, now=datetime.fromisoformat("2026-11-25T12:00:00Z")).total_seconds()


def test_retry_after_is_read_in_both_its_forms() -> None:
    assert [seconds(text) for text in ("120", " 7 ", "0")] == [120, 7, 0]
    assert seconds("Wed, 25 Nov 2026 12:01:30 GMT") == 90
    assert seconds("Wed, 25 Nov 2026 11:00:00 GMT") == 0
    assert [seconds(text) for text in ("9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT")] == [LONGEST_ASKED.total_seconds()] * 2
    assert [seconds(text) for text in ("", "soon", "-5", "1.5", "٣", "Wed, 99 Nov 2026 12:01:30 GMT")] == [0] * 6


@pytest.mark.parametrize("status", [429, 503])
def test_nothing_is_sent_earlier_than_the_receiver_asks(hook: NewSecret, customer: Customer, happen: Happen, status: int) -> None:
    customer.answers, until = [status], timezone.now() + timedelta(hours=2)
    customer.headers = {"Retry-After": format_datetime(until.astimezone(UTC), usegmt=True)}
    for _ in range(2):
        happen()
    drain()
    assert run(hook) == 1
    assert until - timedelta(seconds=2) <= rows.get(attempts=1).next_at <= until + timedelta(seconds=2)
    assert hooks.get().rests_until >= until - timedelta(seconds=2), "its other events wait as well"
    assert run(hook) == 0


def test_other_refusals_do_not_ask_for_anything(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    customer.answers, customer.headers = [500], {"Retry-After": "7200"}
    happen()
    drain()
    run(hook)
    assert rows.get().next_at < timezone.now() + timedelta(minutes=1)
    assert hooks.get().rests_until is None


def test_who_asks_beyond_the_three_days_gets_no_more(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    customer.answers, customer.headers = [429], {"Retry-After": "86400"}
    happen()
    drain()
    run(hook)
    assert rows.get().status == "pending"
    due_again()
    rows.update(first_attempt_at=timezone.now() - Schedule().longest + timedelta(hours=23))
    run(hook)
    assert (rows.get().status, rows.get().attempts) == ("dead", 2)


def test_several_requests_are_under_way_at_a_receiver_that_is_well(hook: NewSecret, customer: Customer, happen: Happen) -> None:
    """The barrier lets nobody pass alone: one, two, four."""
    things = [uuid4() for _ in range(7)]
    for thing in things * 2:
        happen(thing)
    drain()
    meet = [Barrier(1), *[Barrier(2, timeout=30)] * 2, *[Barrier(4, timeout=30)] * 11]
    customer.before = lambda number: meet[number].wait() if number < 7 else None
    assert run(hook) == 14
    told = customer.verified(hook.secret)
    assert {event["sequence"] for event in told[:7]} == {1}
    assert [statuses().count(status) for status in ("done", "pending")] == [14, 0]
