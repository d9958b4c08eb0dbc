"""The composite foreign key: the database refuses another tenant's row, and forms call it missing."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tenants.models import OutboxDelivery, OutboxEvent, Tenant
from tenants.outbox import publish
from tenants.scope import tenant_scope


@pytest.fixture
def theirs(other_tenant: Tenant) -> OutboxEvent:
    with tenant_scope(other_tenant), transaction.atomic():
        return publish(topic="call.ended", object_type="call", object_id=uuid4())


def delivery(event_id: object) -> OutboxDelivery:
    row = OutboxDelivery(event_id=event_id, subscriber="x", object_type="call", object_id=uuid4(), sequence=1)
    row.next_at = timezone.now()
    return row


def written(write: Callable[[], object]) -> None:
    """The keys are checked at commit, which a test's transaction never reaches."""
    write()
    connection.check_constraints()


def test_the_database_refuses_another_tenants_row(theirs: OutboxEvent, scope: Tenant) -> None:
    with pytest.raises(IntegrityError, match="outboxdelivery_event_same_tenant"), transaction.atomic():
        written(delivery(theirs.pk).save)


def test_an_update_cannot_point_at_another_tenants_row(theirs: OutboxEvent, scope: Tenant) -> None:
    own = publish(topic="call.repriced", object_type="call", object_id=uuid4())
    with pytest.raises(IntegrityError, match="outboxdelivery_event_same_tenant"), transaction.atomic():
        written(lambda: OutboxDelivery.objects.update(event=theirs))
    assert OutboxDelivery.objects.get().event_id == own.pk


def test_another_tenants_row_and_a_missing_one_get_the_same_field_error(theirs: OutboxEvent, scope: Tenant) -> None:
    found = []
    for event_id in (theirs.pk, uuid4()):
        row = delivery(event_id)
        row.tenant = scope
        with pytest.raises(ValidationError) as caught:
            row.validate_constraints()
        found.append({field: [m.replace(str(event_id), "ID") for m in said] for field, said in caught.value.message_dict.items()})
    assert found[0] == found[1]
    assert list(found[0]) == ["event"]


def test_an_own_row_and_an_excluded_field_pass(scope: Tenant) -> None:
    own = delivery(publish(topic="call.ended", object_type="call", object_id=uuid4()).pk)
    own.tenant = scope
    own.validate_constraints()
    delivery(uuid4()).validate_constraints(exclude={"event"})
