"""The telephone numbers of the tenant in scope: adding, routing, releasing. LiveKit follows what is written here."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from agents.models import Agent
from calls import mirror
from calls.errors import NumberTakenError
from calls.models import PhoneNumber, TrunkGrant
from calls.services.gates import refused_kind
from calls.services.hours import checked_hours, weekly
from calls.windows import is_open
from tenants.models import User
from tenants.services import audit
from voiceplatform.lib.outbound_http import RefusedUrlError, parse_url
from voiceplatform.lib.phone import parse_phone

FIELDS: Final = (
    "phone",
    "label",
    "grant",
    "agent",
    "is_caller_id",
    "timezone",
    "hours",
    "closed_action",
    "closed_agent",
    "closed_forward_to",
    "closed_sentence",
    "hook_url",
    "metadata",
)
NOBODY: Final = "I am sorry, nobody is available at the moment. Please call again later. Goodbye."
Closed = PhoneNumber.Closed
_NEEDED: Final = {Closed.OTHER_AGENT: "closed_agent", Closed.FORWARD: "closed_forward_to", Closed.SENTENCE: "closed_sentence"}


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers: an agent, or a number the call is put through to, or a sentence before the call ends."""

    agent: Agent | None = None
    forward_to: str = ""
    sentence: str = ""


def route(number: PhoneNumber, *, at: datetime) -> Route:
    """Who answers a call to `number` at that moment."""
    hours = weekly(number.hours)
    if hours and not is_open(hours, [number.timezone or number.tenant.timezone], at):
        if number.closed_action == Closed.FORWARD:
            return Route(forward_to=number.closed_forward_to)
        if number.closed_action == Closed.SENTENCE:
            return Route(sentence=number.closed_sentence)
        if number.closed_action == Closed.OTHER_AGENT and number.closed_agent:
            return _answers(number.closed_agent)
    return _answers(number.agent)


def _answers(agent: Agent | None) -> Route:
    if agent is None or agent.archived_at or agent.published_version_id is None:
        return Route(sentence=NOBODY)
    return Route(agent=agent)


@transaction.atomic
def add_number(*, actor: User | None = None, **given: Any) -> PhoneNumber:
    """A number of a trunk the tenant may use. `given`: FIELDS. Raises NumberTakenError, and ValidationError naming the field."""
    row = PhoneNumber(**_only(given))
    if row.hook_url:
        row.hook_secret = new_hook_secret()
    _store(row, force_insert=True)
    audit.record(action="number.added", target=row, actor=actor, fields=sorted(given))
    mirror.wake_on_commit()
    return row


@transaction.atomic
def change_number(*, number: PhoneNumber, actor: User | None = None, reason: str = "", **changes: Any) -> PhoneNumber:
    """Change anything but the number itself. Raises ValidationError naming the field."""
    row: PhoneNumber = PhoneNumber.objects.select_for_update(no_key=True, of=("self",)).get(pk=number.pk)
    if row.released_at:
        raise ValidationError({"phone": f"{row.phone} has been released."})
    given = _only(changes)
    if given.get("phone", row.phone) != row.phone:
        raise ValidationError({"phone": "The number itself cannot change. Release it and add the other one."})
    changed = sorted(name for name, value in given.items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, given[name])
    if not changed:
        return row
    if row.hook_url and row.hook_secret is None:
        row.hook_secret = new_hook_secret()
        changed.append("hook_secret")
    _store(row, update_fields=changed)
    audit.record(action="number.changed", target=row, actor=actor, fields=changed, reason=reason)
    mirror.wake_on_commit()
    return row


@transaction.atomic
def release_number(*, number: PhoneNumber, actor: User | None = None, reason: str = "") -> bool:
    """Route it nowhere from now on; nothing changes at the carrier. False when it was released before."""
    released = PhoneNumber.objects.filter(pk=number.pk, released_at=None).update(released_at=Now())
    if released:
        audit.record(action="number.released", target=number, actor=actor, reason=reason)
        mirror.wake_on_commit()
    return bool(released)


@transaction.atomic
def rotate_hook_secret(*, number: PhoneNumber, actor: User | None = None, reason: str = "") -> str:
    """A new secret to sign questions to the hook with; the old one is of no use any more."""
    row: PhoneNumber = PhoneNumber.objects.select_for_update(no_key=True, of=("self",)).get(pk=number.pk)
    secret = new_hook_secret()
    row.hook_secret = secret
    row.save(update_fields=["hook_secret"])
    audit.record(action="number.hook_secret_rotated", target=row, actor=actor, fields=["hook_secret"], reason=reason)
    return secret


def new_hook_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _only(given: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(given) - set(FIELDS)):
        raise TypeError(f"cannot be set: {', '.join(unknown)}")
    return dict(given)


def _store(row: PhoneNumber, **options: Any) -> None:
    row.clean_fields(exclude=["tenant", "grant"])
    _check(row)
    try:
        with transaction.atomic():
            row.save(**options)
    except IntegrityError as error:
        if "phonenumber_routes_once" not in str(error):
            raise
        raise NumberTakenError(f"{row.phone} routes to somebody already. A number belongs to one account at a time.") from error


def _check(row: PhoneNumber) -> None:
    if not parse_phone(row.phone).is_assignable:
        raise ValidationError({"phone": f"{row.phone} is no number that an operator hands out. Check its digits."})
    grant = TrunkGrant.objects.filter(pk=row.grant_id, revoked_at=None).first()
    if grant is None:
        raise ValidationError({"grant": "There is no such trunk that this account may use."})
    for name in ("agent", "closed_agent"):
        agent = getattr(row, name)
        if agent is not None and (agent.tenant_id != grant.tenant_id or agent.archived_at):
            raise ValidationError({name: "There is no such agent, or it is archived."})
    if missing := missing_when_closed({name: getattr(row, name) for name in ("closed_action", *_NEEDED.values())}):
        raise ValidationError(missing)
    if row.closed_forward_to and (refused := refused_kind(parse_phone(row.closed_forward_to))):
        raise ValidationError({"closed_forward_to": refused})
    if row.closed_forward_to == row.phone:
        raise ValidationError({"closed_forward_to": "The number cannot be put through to itself."})
    row.hours = checked_hours(row.hours)
    if row.hook_url:
        try:
            parse_url(row.hook_url, allow_loopback=settings.VP_OUTBOUND_LOOPBACK)
        except RefusedUrlError as error:
            raise ValidationError({"hook_url": str(error)}) from error


def missing_when_closed(values: Mapping[str, Any]) -> dict[str, str]:
    """What is still to be said for a number's `closed_action`, by field."""
    action = Closed(values["closed_action"])
    needed = _NEEDED.get(action)
    return {needed: f"Outside the hours {action.label}: say which."} if needed and not values.get(needed) else {}
