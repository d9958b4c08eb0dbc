"""The people and queues calls may be handed to, of the tenant in scope."""

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from agents.models import TransferTarget
from agents.selectors import agents_using_target
from agents.services.transferring import key_of
from agents.transfers import Target
from calls.clock import database_now
from calls.errors import InUseError, NameTakenError
from calls.resolving import scope_of_call
from calls.services.gates import check_target
from calls.services.hours import checked_hours
from tenants.models import User
from tenants.services import audit

FIELDS: Final = (
    "name",
    "kind",
    "when",
    "phone",
    "digits",
    "mode",
    "ring_s",
    "priority",
    "hours",
    "timezone",
    "enabled",
)

SWITCHED_OFF: Final = "switched_off"
DELETED: Final = "deleted"


@transaction.atomic
def create_target(*, actor: User | None = None, **given: Any) -> TransferTarget:
    """`given`: FIELDS. Raises NameTakenError, and ValidationError naming the field; a phone that may not be called is refused."""
    row = TransferTarget(**_only(given))
    _store(row, force_insert=True)
    audit.record(action="transfer_target.created", target=row, actor=actor, fields=sorted(given))
    return row


@transaction.atomic
def change_target(*, target: TransferTarget, actor: User | None = None, **changes: Any) -> TransferTarget:
    """Calls placed from now on know the target like this; none tries one that is off. Raises as create_target does."""
    row: TransferTarget = TransferTarget.objects.select_for_update(no_key=True, of=("self",)).get(pk=target.pk)
    changed = sorted(name for name, value in _only(changes).items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, changes[name])
    if changed:
        _store(row, update_fields=changed)
        audit.record(action="transfer_target.changed", target=row, actor=actor, fields=changed)
    return row


@transaction.atomic
def delete_target(*, target: TransferTarget, actor: User | None = None) -> None:
    """Raises InUseError while a draft, or the version calls get, hands over to it."""
    row: TransferTarget = TransferTarget.objects.select_for_update(of=("self",)).get(pk=target.pk)
    if names := [agent.name for agent in agents_using_target(row)]:
        raise InUseError(f"{row.name} is a target of {', '.join(names[:5])}. Take it out there first, or switch it off.")
    audit.record(action="transfer_target.deleted", target=row, actor=actor)
    row.delete()


def why_refused(target: Target) -> str:
    """A word for why nobody may be put through any more to a target that a call began with; empty when they may."""
    enabled = TransferTarget.objects.filter(pk=key_of(target.id)).values_list("enabled", flat=True).first()
    if not enabled:
        return DELETED if enabled is None else SWITCHED_OFF
    return check_target(phone=target.phone, now=database_now()).code


def refused_targets(call_id: UUID, targets: Collection[Target]) -> frozenset[str]:
    """Ids of those that were deleted, switched off or suppressed since the call began. Enters the call's scope."""
    with scope_of_call(call_id):
        return frozenset(target.id for target in targets if why_refused(target))


def hand_over_facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """What an event of the kind HAND_OVER_EVENT says, under the names customers know."""
    target, tried = data.get("target"), data.get("tried", [])
    return {
        "reason": data.get("reason", ""),
        "summary": data.get("summary", ""),
        "outcome": "joined" if target else "not_taken",
        "target": target,
        "tried": [{name: each.get(name, "") for name in ("id", "name", "outcome")} for each in tried],
    }


def _only(given: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(given) - set(FIELDS)):
        raise TypeError(f"cannot be set: {', '.join(unknown)}")
    return given


def _store(row: TransferTarget, **options: Any) -> None:
    verdict = check_target(phone=row.phone, now=database_now())
    if not verdict.allowed:
        raise ValidationError({"phone": verdict.sentence})
    if row.digits and row.mode == TransferTarget.Mode.BLIND:
        raise ValidationError({"digits": "They are pressed where the agent introduces the caller only: make it warm."})
    row.phone = verdict.phone
    row.hours = checked_hours(row.hours)
    row.clean_fields(exclude=["tenant"])
    try:
        with transaction.atomic():
            row.save(**options)
    except IntegrityError as error:
        if "transfertarget_name_once" not in str(error):
            raise
        raise NameTakenError(f"There is another target called {row.name}.") from error
