"""The audit record: complete, final, and free of personal values."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction

from tenants.errors import InvalidAuditDataError
from tenants.models import AuditEvent, Membership, Tenant, User
from tenants.services import audit


def test_an_action_is_recorded(scope: Tenant, make_user: Callable[..., User]) -> None:
    actor, other = make_user(), uuid4()
    audit.record(
        action="call.hung_up",
        target=scope,
        actor=actor,
        fields=["status"],
        data={"call": other, "from": "in_progress", "forced": True, "feature": "voice-agent-tool-x", "agency": None},
        reason="The caller asked for it.",
    )
    event = AuditEvent.objects.get(action="call.hung_up")
    assert (event.target_type, event.target_id, event.actor_id) == ("tenants.tenant", scope.pk, actor.pk)
    assert event.fields == ["status"]
    assert event.data == {
        "call": str(other),
        "from": "in_progress",
        "forced": True,
        "feature": "voice-agent-tool-x",
        "agency": None,
    }


@pytest.mark.parametrize("value", ["+15550142", "15550142", "Jane Doe", "Jane", "a@b.com", 15550142, 1.5, ["x"], ""])
def test_personal_values_are_refused(scope: Tenant, value: object) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(InvalidAuditDataError, match="'who'"):
        audit.record(action="x", target=scope, data={"who": value})  # type: ignore[dict-item]
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("change", ["update", "delete", "save"])
def test_the_database_keeps_audit_events_as_they_are(scope: Tenant, change: str) -> None:
    event = audit.record(action="x", target=scope)
    event.reason = "other"
    changes = {
        "update": lambda: AuditEvent.objects.filter(pk=event.pk).update(action="y"),
        "delete": lambda: AuditEvent.objects.filter(pk=event.pk).delete(),
        "save": event.save,
    }
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        changes[change]()
    event.refresh_from_db()
    assert (event.action, event.reason) == ("x", "")


def test_the_record_outlives_the_person(make_member: Callable[..., Membership], scope: Tenant) -> None:
    user = make_member(scope).user
    audit.record(action="x", target=scope, actor=user)
    gone = user.pk
    user.delete()
    assert AuditEvent.objects.filter(actor_id=gone).count() == 1
