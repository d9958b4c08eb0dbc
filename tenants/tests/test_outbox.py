"""Publishing: in the caller's transaction, numbered in commit order, one wake-up at most."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from tenants import outbox
from tenants.errors import NoTenantScopeError, NotInTransactionError, UnknownTopicError
from tenants.models import OutboxDelivery, OutboxEvent, Tenant
from tenants.scope import tenant_scope

THING = UUID("01990000-0000-7000-8000-000000000001")


Sent = Callable[[], list[dict[str, Any]]]


def tell(**data: Any) -> OutboxEvent:
    return outbox.publish(topic="test.happened", object_type="thing", object_id=THING, data=data)


def tell_in_vain() -> None:
    with transaction.atomic():
        tell()
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_an_event_needs_a_transaction_a_scope_and_a_known_topic(tenant: Tenant, listen: Callable[..., None]) -> None:
    with tenant_scope(tenant), pytest.raises(NotInTransactionError):
        tell()
    with transaction.atomic(), pytest.raises(NoTenantScopeError):
        tell()
    with tenant_scope(tenant), transaction.atomic(), pytest.raises(UnknownTopicError):
        outbox.publish(topic="test.hapened", object_type="thing", object_id=THING)
    assert OutboxEvent.all_objects.count() == 0


def test_each_subscriber_gets_a_delivery(scope: Tenant, listen: Callable[..., None]) -> None:
    for name in ("tests.one", "tests.two"):
        listen(lambda _event: None, name=name)
    event = tell(id="x")
    assert sorted(event.deliveries.values_list("subscriber", "status", "sequence", "object_id")) == [
        ("tests.one", "pending", 1, THING),
        ("tests.two", "pending", 1, THING),
    ]


@pytest.mark.django_db(transaction=True)
def test_an_event_lives_and_dies_with_the_change(scope: Tenant, listen: Callable[..., None], sent_messages: Sent) -> None:
    listen(lambda _event: None)
    tell_in_vain()
    assert (OutboxEvent.objects.count(), OutboxDelivery.objects.count(), sent_messages()) == (0, 0, [])
    with transaction.atomic():
        assert tell().sequence == 1


def test_objects_and_tenants_count_for_themselves(tenant: Tenant, other_tenant: Tenant, listen: Callable[..., None]) -> None:
    for owner in (tenant, other_tenant):
        with tenant_scope(owner):
            assert [tell().sequence, tell().sequence] == [1, 2]
            other = outbox.publish(topic="test.happened", object_type="thing", object_id=uuid4())
            assert other.sequence == 1


@pytest.mark.django_db(transaction=True)
def test_a_later_number_waits_for_the_earlier_to_commit(tenant: Tenant, listen: Callable[..., None]) -> None:
    numbered, go_on, seen = Event(), Event(), []

    def slow() -> None:
        with tenant_scope(tenant), transaction.atomic():
            tell()
            numbered.set()
            go_on.wait(5)
        connection.close()

    def quick() -> None:
        numbered.wait(5)
        with tenant_scope(tenant), transaction.atomic():
            tell()
            seen.extend(OutboxEvent.objects.order_by("sequence").values_list("sequence", flat=True))
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(slow), pool.submit(quick)]
        numbered.wait(5)
        assert not jobs[1].done()
        go_on.set()
        [job.result(10) for job in jobs]
    assert seen == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_racing_publishers_leave_no_gap_and_no_double(tenant: Tenant, listen: Callable[..., None]) -> None:
    together = Barrier(8)

    def publish(_number: int) -> None:
        together.wait()
        for _ in range(5):
            with tenant_scope(tenant), transaction.atomic():
                tell()
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(8)))
    with tenant_scope(tenant):
        assert sorted(OutboxEvent.objects.values_list("sequence", flat=True)) == list(range(1, 41))


@pytest.mark.django_db(transaction=True)
def test_one_wake_up_per_transaction(scope: Tenant, listen: Callable[..., None], sent_messages: Sent) -> None:
    listen(lambda _event: None)
    with transaction.atomic():
        tell()
        with transaction.atomic():
            tell()
        assert sent_messages() == []
    assert [message["task"] for message in sent_messages()] == [outbox.DRAIN_TASK]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_savepoint_does_not_take_the_wake_up_along(
    scope: Tenant, listen: Callable[..., None], sent_messages: Sent
) -> None:
    listen(lambda _event: None)
    with transaction.atomic():
        tell_in_vain()
        tell()
    assert [message["task"] for message in sent_messages()] == [outbox.DRAIN_TASK]


@pytest.mark.django_db(transaction=True)
def test_news_nobody_listens_to_wakes_nobody(scope: Tenant, listen: Callable[..., None], sent_messages: Sent) -> None:
    with transaction.atomic():
        tell()
    assert (OutboxEvent.objects.count(), sent_messages()) == (1, [])


def test_handlers_are_those_the_table_names(listen: Callable[..., None]) -> None:
    with pytest.raises(UnknownTopicError):
        outbox.subscriber("tests.stranger", topic="test.happened")
    with pytest.raises(UnknownTopicError):
        outbox.subscriber("tests.note", topic="no.topic")
    listen(lambda _event: None)
    with pytest.raises(UnknownTopicError, match="has a handler already"):
        outbox.subscriber("tests.note", topic="test.happened")(lambda _event: None)
