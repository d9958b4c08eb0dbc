"""Delivering: in order per subscriber and object, exactly once for rows, again after failures, dead in the end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from tenants.models import AuditEvent, OutboxDelivery, OutboxEvent, Tenant, TenantFeature, User
from tenants.outbox import Event
from tenants.scope import current_tenant_id, tenant_scope
from tenants.services import delivery

pytestmark = pytest.mark.django_db(transaction=True)
Listen = Callable[..., None]
Happen = Callable[..., OutboxEvent]
Sent = Callable[[], list[dict[str, Any]]]
rows = OutboxDelivery.all_objects


def fail(_event: Event) -> None:
    raise ValueError("no such thing")


def due_again() -> None:
    rows.filter(status="pending").update(next_at=timezone.now(), leased_until=None)


def write_row(_event: Event) -> None:
    """A row per run, not per event: a second run is seen."""
    TenantFeature.objects.create(feature_key=str(uuid4()), enabled=True)


def test_a_handler_is_told_what_happened_in_its_tenants_scope(listen: Listen, happen: Happen, tenant: Tenant) -> None:
    told: list[Event] = []
    scopes = []

    def note(event: Event) -> None:
        told.append(event)
        scopes.append(current_tenant_id())

    listen(note)
    event = happen(answer=42)
    assert delivery.drain() == 1
    assert delivery.drain() == 0
    assert [(e.id, e.topic, e.object_id, e.sequence, e.data) for e in told] == [
        (event.pk, "test.happened", event.object_id, 1, {"answer": 42})
    ]
    assert rows.get().status == "done"
    assert rows.get().settled_at is not None
    assert scopes == [tenant.pk]


def test_events_of_one_object_arrive_in_order(listen: Listen, happen: Happen) -> None:
    told: list[int] = []
    listen(lambda event: told.append(event.sequence))
    thing = uuid4()
    for _ in range(5):
        happen(thing)
    rows.filter(sequence=1).update(next_at=timezone.now() + timedelta(minutes=1))
    assert delivery.drain() == 0
    due_again()
    assert delivery.drain() == 5
    assert told == [1, 2, 3, 4, 5]


def test_a_failing_event_holds_back_its_object_and_subscriber_only(listen: Listen, happen: Happen) -> None:
    told: list[str] = []
    listen(fail, name="tests.bad")
    listen(lambda event: told.append(f"{event.data['of']}{event.sequence}"), name="tests.good")
    thing = uuid4()
    for _ in range(2):
        happen(thing, of="a")
    happen(of="b")
    delivery.drain()
    assert sorted(told) == ["a1", "a2", "b1"]
    assert list(rows.filter(subscriber="tests.bad").order_by("pk").values_list("attempts", flat=True)) == [1, 0, 1]


def test_a_failure_is_kept_and_tried_again_later_and_later(listen: Listen, happen: Happen) -> None:
    listen(fail)
    happen()
    pauses = []
    for attempt in range(1, delivery.MAX_ATTEMPTS):
        delivery.drain()
        row = rows.get()
        assert (row.status, row.attempts, row.last_error) == ("pending", attempt, "ValueError: no such thing")
        pauses.append(round((row.next_at - timezone.now()).total_seconds()))
        assert delivery.drain() == 0
        due_again()
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280]
    delivery.drain()
    assert rows.get().status == "dead"
    assert "no such thing" in rows.get().last_error
    due_again()
    assert delivery.drain() == 0


def test_a_dead_event_blocks_nobody(listen: Listen, happen: Happen) -> None:
    told: list[int] = []
    listen(lambda event: fail(event) if event.sequence == 1 else told.append(event.sequence))
    thing = uuid4()
    happen(thing)
    happen(thing)
    rows.filter(sequence=1).update(attempts=delivery.MAX_ATTEMPTS - 1)
    delivery.drain()
    assert told == [2]
    assert list(rows.order_by("sequence").values_list("status", flat=True)) == ["dead", "done"]


def test_a_handlers_rows_and_the_note_that_it_is_done_are_one(listen: Listen, happen: Happen, tenant: Tenant) -> None:
    def write_and_fail(event: Event) -> None:
        write_row(event)
        fail(event)

    listen(write_and_fail)
    happen()
    delivery.drain()
    assert TenantFeature.all_objects.count() == 0
    assert rows.get().status == "pending"


def test_a_handler_with_effects_elsewhere_runs_outside_a_transaction(listen: Listen, happen: Happen) -> None:
    inside: list[bool] = []
    listen(lambda _event: inside.append(connection.in_atomic_block), name="tests.rows")
    listen(lambda _event: inside.append(connection.in_atomic_block), name="tests.mail", writes_rows_only=False)
    happen()
    delivery.drain()
    assert sorted(inside) == [False, True]
    assert rows.filter(status="done").count() == 2


def test_a_lease_keeps_others_away_until_it_ends(listen: Listen, happen: Happen) -> None:
    listen(lambda _event: None)
    happen()
    first = delivery._lease_next()
    assert first is not None
    left = first.leased_until is None and rows.get().leased_until - timezone.now()
    assert timedelta(seconds=58) < left <= timedelta(seconds=60)
    assert delivery.drain() == 0
    rows.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert delivery.drain() == 1
    assert (rows.get().status, rows.get().attempts) == ("done", 2)


def test_who_lost_the_lease_writes_nothing(listen: Listen, happen: Happen) -> None:
    listen(write_row)
    happen()
    late = delivery._lease_next()
    assert late is not None
    rows.update(leased_until=timezone.now())
    assert delivery.drain() == 1
    delivery._deliver(late)
    assert TenantFeature.all_objects.count() == 1
    assert (rows.get().status, rows.get().last_error) == ("done", "")


def test_a_handler_that_kills_its_process_ends_dead(listen: Listen, happen: Happen) -> None:
    listen(fail)
    happen()
    rows.update(attempts=delivery.MAX_ATTEMPTS)
    assert delivery.drain() == 0
    assert rows.get().status == "dead"
    assert "process died" in rows.get().last_error


def test_what_this_process_has_no_handler_for_is_left_to_others(listen: Listen, happen: Happen) -> None:
    listen(lambda _event: None)
    happen()
    rows.update(subscriber="tests.elsewhere")
    assert delivery.drain() == 0
    assert (rows.get().status, rows.get().attempts) == ("pending", 0)


def test_a_dead_delivery_is_revived_by_a_person(
    listen: Listen, happen: Happen, scope: Tenant, make_user: Callable[..., User]
) -> None:
    listen(lambda _event: None)
    happen()
    row = rows.get()
    assert delivery.revive(delivery=row, actor=make_user(), reason="fixed") is False
    rows.update(status="dead", settled_at=timezone.now(), attempts=10)
    assert delivery.revive(delivery=row, actor=make_user(), reason="fixed") is True
    assert AuditEvent.objects.get(action="outbox.revived").reason == "fixed"


def test_revived_means_delivered(listen: Listen, happen: Happen, tenant: Tenant, make_user: Callable[..., User]) -> None:
    told: list[int] = []
    listen(lambda event: told.append(event.sequence))
    happen()
    rows.update(status="dead", settled_at=timezone.now(), attempts=delivery.MAX_ATTEMPTS)
    with tenant_scope(tenant):
        delivery.revive(delivery=rows.get(), actor=make_user(), reason="fixed")
    assert delivery.drain() == 1
    assert told == [1]


def test_a_sweep_wakes_only_for_what_is_due(listen: Listen, happen: Happen, sent_messages: Sent) -> None:
    listen(lambda _event: None)
    assert delivery.sweep() is False
    assert sent_messages() == []
    happen()
    assert delivery.sweep() is True
    assert [message["task"] for message in sent_messages()] == ["tenants.tasks.drain_outbox"] * 2
    delivery.drain()
    assert delivery.sweep() is False
    assert len(sent_messages()) == 2


def test_a_long_drain_hands_over(listen: Listen, happen: Happen, sent_messages: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    listen(lambda _event: None)
    for _ in range(3):
        happen()
    monkeypatch.setattr(delivery, "DRAIN_S", -1.0)
    assert delivery.drain() == 1
    assert len(sent_messages()) == 4
