"""The record of who changed what, and why."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import models
from django.utils import timezone

from tenants.caller import current_api_key_id
from tenants.errors import InvalidAuditDataError
from tenants.models import AuditEvent, User

# A state, key or id. Names, phone numbers and sentences do not pass.
_WORD = re.compile(r"[a-z][a-z0-9]*([._:-][a-z0-9]+)*")


def record(
    *,
    action: str,
    target: models.Model,
    actor: User | None = None,
    fields: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Note an action on a row, in the tenant and the transaction of the change.

    `fields` names what changed. `data` holds ids and states only: raises InvalidAuditDataError for anything that
    could be a personal value.
    """
    (event,) = record_all([Entry(action=action, target=target, fields=fields, data=data or {})], actor=actor, reason=reason)
    return event


@dataclass(frozen=True, slots=True)
class Entry:
    """One of many actions that are noted at once."""

    action: str
    target: models.Model
    fields: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


def record_all(entries: Iterable[Entry], *, actor: User | None = None, reason: str = "") -> list[AuditEvent]:
    """`record` for many at once, in one query."""
    now = timezone.now()
    events = [
        AuditEvent(
            action=entry.action,
            target_type=entry.target._meta.label_lower,
            target_id=entry.target.pk,
            actor_id=actor.pk if actor else None,
            api_key_id=current_api_key_id(),
            fields=list(entry.fields),
            data={key: _checked(key, value) for key, value in entry.data.items()},
            reason=reason,
            at=now,
        )
        for entry in entries
    ]
    made: list[AuditEvent] = AuditEvent.objects.bulk_create(events)
    return made


def _checked(key: str, value: Any) -> str | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and (_WORD.fullmatch(value) or _is_uuid(value)):
        return value
    raise InvalidAuditDataError(f"audit data {key!r} holds ids and states only, not {type(value).__name__} text or numbers")


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
