"""Leads, what they agreed to, the numbers nobody calls, and the hours in which people may be called."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from calls.errors import LeadExistsError
from calls.models import CallingWindow, Consent, Lead, Suppression
from tenants.caller import current_api_key_id
from tenants.models import User
from tenants.services import audit
from voiceplatform.lib.metadata import MOST_METADATA
from voiceplatform.lib.phone import to_e164

LEAD_FIELDS: Final = ("phone", "name", "email", "timezone", "language", "metadata")
CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"
WINDOW_FIELDS: Final = ("country", "weekdays", "starts_at", "ends_at", "on_holidays")


@transaction.atomic
def create_lead(*, lead: Lead, actor: User | None = None) -> Lead:
    """Store a new lead of the tenant in scope. Raises LeadExistsError, and ValidationError naming the field."""
    lead.created_at = timezone.now()
    _check(lead)
    _store_lead(lead, force_insert=True)
    audit.record(action="lead.created", target=lead, actor=actor, fields=[name for name in LEAD_FIELDS if getattr(lead, name)])
    return lead


@transaction.atomic
def change_lead(*, lead: Lead, fields: Iterable[str], actor: User | None = None) -> Lead:
    """Store what was set in these fields of `lead`. Raises LeadExistsError, and ValidationError naming the field."""
    changed = sorted(set(fields))
    if changed:
        _check(lead)
        _store_lead(lead, update_fields=changed)
        audit.record(action="lead.changed", target=lead, actor=actor, fields=changed)
    return lead


def _store_lead(lead: Lead, **options: object) -> None:
    try:
        with transaction.atomic():
            lead.save(**options)
    except IntegrityError as error:
        if not Lead.objects.filter(phone=lead.phone).exclude(pk=lead.pk).exists():
            raise
        raise LeadExistsError(f"There is a lead with the number {lead.phone} already.") from error


Upserted = str | ValidationError
"""created, updated or unchanged, or why it was refused."""


@transaction.atomic
def upsert_leads(*, wanted: list[Lead], actor: User | None = None) -> list[Upserted]:
    """Store new leads, and what is set in those whose number is known already; answered in order.

    What is empty changes nothing, and metadata is added to what there is. What does not fit is refused by itself.
    """
    now = timezone.now()
    refused: dict[int, ValidationError] = {}
    for index, lead in enumerate(wanted):
        lead.created_at = now
        try:
            _check(lead)
        except ValidationError as error:
            refused[index] = error
    by_phone: dict[str, Lead] = {}
    for lead in (lead for index, lead in enumerate(wanted) if index not in refused):
        by_phone.setdefault(lead.phone, lead)
    # Sorted, so that two lists with the same numbers do not wait for each other.
    Lead.objects.bulk_create([by_phone[phone] for phone in sorted(by_phone)], ignore_conflicts=True)
    locked = Lead.objects.filter(phone__in=by_phone).select_for_update(of=("self",)).order_by("phone")
    standing, changes = {row.phone: row for row in locked}, defaultdict[str, set[str]](set)
    done = [refused.get(index) or _merge(lead, standing[lead.phone], changes) for index, lead in enumerate(wanted)]
    _store_merged([lead for lead, result in zip(wanted, done, strict=True) if result == CREATED], standing, changes, actor)
    return done


def _merge(lead: Lead, row: Lead, changes: dict[str, set[str]]) -> Upserted:
    if row.pk == lead.pk:
        return CREATED
    given = {name: value for name in LEAD_FIELDS if (value := getattr(lead, name))}
    given["metadata"] = row.metadata | lead.metadata
    if len(given["metadata"]) > MOST_METADATA:
        return ValidationError({"metadata": f"The lead would have more than {MOST_METADATA} entries."})
    changed = {name for name, value in given.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, given[name])
    changes[row.phone] |= changed
    return UPDATED if changed else UNCHANGED


def _store_merged(new: list[Lead], standing: dict[str, Lead], changes: dict[str, set[str]], actor: User | None) -> None:
    if names := set().union(*changes.values()):
        Lead.objects.bulk_update([standing[phone] for phone, changed in changes.items() if changed], sorted(names))
    created = [audit.Entry("lead.created", lead, [name for name in LEAD_FIELDS if getattr(lead, name)]) for lead in new]
    changed = [audit.Entry("lead.changed", standing[phone], sorted(each)) for phone, each in changes.items() if each]
    audit.record_all([*created, *changed], actor=actor)


@transaction.atomic
def record_consent(*, consent: Consent, actor: User | None = None) -> Consent:
    """Store what a lead agreed to. Raises ValidationError naming the field."""
    now = timezone.now()
    if consent.given_at is not None and consent.given_at > now:
        raise ValidationError({"given_at": "This moment has not come yet."})
    consent.created_at = now
    _check(consent)
    consent.save(force_insert=True)
    _audit_consent("consent.recorded", consent, actor=actor, fields=["kind", "basis", "source", "given_at"])
    return consent


@transaction.atomic
def withdraw_consent(*, lead: Lead, kind: str, actor: User | None = None, reason: str = "") -> list[Consent]:
    """No consent of that kind counts any more; returns those that did until now."""
    given = Consent.objects.filter(lead=lead, kind=kind, withdrawn_at=None).select_for_update(of=("self",)).order_by("id")
    rows = list(given)
    for row in rows:
        row.withdrawn_at = timezone.now()
        row.save(update_fields=["withdrawn_at"])
        _audit_consent("consent.withdrawn", row, actor=actor, fields=["withdrawn_at"], reason=reason)
    return rows


def _audit_consent(action: str, consent: Consent, *, actor: User | None, fields: list[str], reason: str = "") -> None:
    data = {"lead": consent.lead_id, "kind": consent.kind}
    audit.record(action=action, target=consent, actor=actor, fields=fields, data=data, reason=reason)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """`was_new` is False when the number was suppressed already; `row` holds for it then, perhaps for longer now."""

    row: Suppression
    was_new: bool
    was_extended: bool = False


def suppress(
    *, phone: str, source: str, reason: str = "", expires_at: datetime | None = None, actor: User | None = None
) -> Suppressed:
    """Let nobody call this number for the tenant in scope.

    A number that is suppressed already stays so, for the longer of the two times. Raises InvalidPhoneError, and
    ValidationError naming the field.
    """
    wanted = Suppression(phone=to_e164(phone), source=source, reason=reason, expires_at=expires_at)
    (done,) = suppress_all(wanted=[wanted], actor=actor)
    return done


@transaction.atomic
def suppress_all(*, wanted: list[Suppression], actor: User | None = None) -> list[Suppressed]:
    """The same for many at once, answered in order; phones are E.164. All or none. Raises ValidationError."""
    now = timezone.now()
    for row in wanted:
        check_suppression(row, now)
    by_phone: dict[str, Suppression] = {}
    for row in wanted:
        by_phone.setdefault(row.phone, row)
    _close_expired(list(by_phone), now)
    # Sorted, so that two lists with the same numbers do not wait for each other.
    Suppression.objects.bulk_create([by_phone[phone] for phone in sorted(by_phone)], ignore_conflicts=True)
    standing = {row.phone: row for row in _standing(list(by_phone))}
    new = {phone for phone, row in by_phone.items() if standing[phone].pk == row.pk}
    extended = [_hold_longer(standing[row.phone], row.expires_at) for row in wanted]
    longer = {row.phone: standing[row.phone] for row, was_extended in zip(wanted, extended, strict=True) if was_extended}
    Suppression.objects.bulk_update(longer.values(), ["expires_at"])
    sources = {phone: {"source": str(standing[phone].source)} for phone in sorted(new)}
    added = [audit.Entry("suppression.added", standing[phone], data=source) for phone, source in sources.items()]
    later = [audit.Entry("suppression.extended", row, fields=["expires_at"]) for row in longer.values()]
    audit.record_all([*added, *later], actor=actor)
    return [
        Suppressed(standing[row.phone], row.phone in new and by_phone[row.phone] is row, was_extended)
        for row, was_extended in zip(wanted, extended, strict=True)
    ]


def check_suppression(row: Suppression, now: datetime) -> None:
    """Cleans the row, which begins now. Raises ValidationError naming the field."""
    row.created_at = now
    _check(row)
    if row.expires_at is not None and row.expires_at <= now:
        raise ValidationError({"expires_at": "This moment has passed."})


@transaction.atomic
def lift_suppression(*, suppression: Suppression, reason: str, actor: User | None = None) -> bool:
    """Let the number be called again; the row stays as history. False when it was lifted already."""
    if not reason.strip():
        raise ValidationError({"reason": "Say why; it is kept."})
    lifted = Suppression.objects.filter(pk=suppression.pk, lifted_at=None).update(
        lifted_at=timezone.now(), lifted_by=actor, lifted_by_key=current_api_key_id(), lift_reason=reason
    )
    if lifted:
        audit.record(action="suppression.lifted", target=suppression, actor=actor, fields=["lifted_at"], reason=reason)
    suppression.refresh_from_db()
    return bool(lifted)


def _standing(phones: list[str]) -> list[Suppression]:
    rows = Suppression.objects.filter(phone__in=phones, lifted_at=None)
    return list(rows.select_for_update(of=("self",)).order_by("phone"))


def _close_expired(phones: list[str], now: datetime) -> None:
    """An expired row makes room for a new one, and stays as history."""
    over = [row.pk for row in _standing(phones) if not row.is_in_force(now)]
    Suppression.objects.filter(pk__in=over).update(lifted_at=now, lift_reason="It had expired.")


def _hold_longer(row: Suppression, expires_at: datetime | None) -> bool:
    if row.expires_at is None or (expires_at is not None and expires_at <= row.expires_at):
        return False
    row.expires_at = expires_at
    return True


@transaction.atomic
def create_window(*, window: CallingWindow, actor: User | None = None) -> CallingWindow:
    """Store a new calling window. Raises ValidationError naming the field."""
    window.created_at = timezone.now()
    _check(window)
    window.save(force_insert=True)
    audit.record(action="calling_window.created", target=window, actor=actor, fields=list(WINDOW_FIELDS))
    return window


@transaction.atomic
def change_window(*, window: CallingWindow, fields: Iterable[str], actor: User | None = None) -> CallingWindow:
    """Store what was set in these fields. Raises ValidationError naming the field."""
    changed = sorted(set(fields))
    if changed:
        _check(window)
        window.save(update_fields=changed)
        audit.record(action="calling_window.changed", target=window, actor=actor, fields=changed)
    return window


@transaction.atomic
def delete_window(*, window: CallingWindow, actor: User | None = None) -> None:
    """Without a window of its own a country has those for every country, and without those the platform's hours."""
    audit.record(action="calling_window.deleted", target=window, actor=actor)
    window.delete()


def _check(row: models.Model) -> None:
    """Cleans the row, numbers included. What depends on other rows is left to the database."""
    row.full_clean(exclude=["tenant"], validate_unique=False, validate_constraints=False)
