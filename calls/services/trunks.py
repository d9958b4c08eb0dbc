"""Carrier accounts and trunks of the tenant in scope, and who may use a trunk. LiveKit follows what is written here."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from calls import mirror
from calls.carriers import PRESETS
from calls.errors import InUseError, NameTakenError
from calls.models import CarrierAccount, PhoneNumber, SipTrunk, TrunkGrant, TrunkPace
from tenants.models import Tenant, User
from tenants.scope import current_tenant_id
from tenants.services import audit
from voiceplatform.lib.outbound_http import RefusedUrlError, check_address

ACCOUNT_FIELDS: Final = ("name", "carrier", "api_key", "api_secret", "metadata")
TRUNK_FIELDS: Final = (
    "name",
    "carrier",
    "account",
    "address",
    "transport",
    "auth_username",
    "auth_password",
    "allowed_addresses",
    "cps",
    "channels",
    "billed_as",
    "billing_minimum_s",
    "billing_step_s",
    "metadata",
)
_PRESET: Final = ("billing_minimum_s", "billing_step_s")
_SECRETS: Final = ("api_secret", "auth_password")
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# What ends in a number is an address.
_HOST: Final = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+(?![0-9]+$){_LABEL}")
_SUPERFLUOUS: Final = {
    "sip:": "Leave out sip:",
    "transport=": "Leave out transport=, there is a field for it",
    "@": "Leave out user@",
}


@transaction.atomic
def create_account(*, actor: User | None = None, **given: Any) -> CarrierAccount:
    """`given`: ACCOUNT_FIELDS. Raises NameTakenError, and ValidationError naming the field."""
    row = CarrierAccount(**_only(given, ACCOUNT_FIELDS))
    _store(row, force_insert=True)
    audit.record(action="carrier_account.created", target=row, actor=actor, fields=sorted(given))
    return row


@transaction.atomic
def change_account(*, account: CarrierAccount, actor: User | None = None, reason: str = "", **changes: Any) -> CarrierAccount:
    """An `api_secret` that is not among the changes stays. Raises NameTakenError, and ValidationError naming the field."""
    row: CarrierAccount = CarrierAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if changed := _change(row, _only(changes, ACCOUNT_FIELDS)):
        audit.record(action="carrier_account.changed", target=row, actor=actor, fields=changed, reason=reason)
    return row


@transaction.atomic
def delete_account(*, account: CarrierAccount, actor: User | None = None, reason: str = "") -> None:
    """Forget an account; nothing is released at the carrier. Raises InUseError while a trunk refers to it."""
    row = CarrierAccount.objects.select_for_update().get(pk=account.pk)
    if row.trunks.filter(retired_at=None).exists():
        raise InUseError(f"{row.name} belongs to a trunk. Take it from the trunk first.")
    row.trunks.update(account=None)
    audit.record(action="carrier_account.deleted", target=row, actor=actor, reason=reason)
    row.delete()


@transaction.atomic
def create_trunk(*, actor: User | None = None, **given: Any) -> SipTrunk:
    """A trunk the tenant may use at once. `given`: TRUNK_FIELDS; how it is billed is the carrier's way unless told otherwise.

    Raises NameTakenError, and ValidationError naming the field.
    """
    preset = PRESETS.get(given.get("carrier", ""))
    usual = {name: getattr(preset, name) for name in _PRESET} if preset else {}
    row = SipTrunk(**usual | _cleaned(_only(given, TRUNK_FIELDS)))
    _store(row, force_insert=True)
    TrunkPace.objects.create(trunk=row, next_invite_at=Now())
    TrunkGrant.objects.create(owner_id=row.tenant_id, trunk=row, channels=row.channels)
    audit.record(action="trunk.created", target=row, actor=actor, fields=sorted(given))
    mirror.wake_on_commit()
    return row


@transaction.atomic
def change_trunk(*, trunk: SipTrunk, actor: User | None = None, reason: str = "", **changes: Any) -> SipTrunk:
    """An `auth_password` that is not among the changes stays; the tenant's own grant follows `channels`.

    Raises NameTakenError, and ValidationError naming the field.
    """
    row = _lock(trunk)
    before = row.channels
    if changed := _change(row, _cleaned(_only(changes, TRUNK_FIELDS))):
        own = TrunkGrant.objects.filter(trunk=row, owner_id=row.tenant_id, channels=before, reserved_inbound__lte=row.channels)
        own.update(channels=row.channels)
        audit.record(action="trunk.changed", target=row, actor=actor, fields=changed, reason=reason)
        mirror.wake_on_commit()
    return row


@transaction.atomic
def stop_trunk(*, trunk: SipTrunk, why: str, actor: User | None = None) -> bool:
    """Place no more calls by it until it is resumed; False when it is stopped already. `why` is shown to staff."""
    running = SipTrunk.objects.filter(pk=trunk.pk, stopped_at=None, retired_at=None)
    stopped = running.update(stopped_at=Now(), stopped_reason=why[:500])
    if stopped:
        audit.record(action="trunk.stopped", target=trunk, actor=actor, reason=why)
    return bool(stopped)


@transaction.atomic
def resume_trunk(*, trunk: SipTrunk, actor: User | None = None, reason: str = "") -> bool:
    """False when it was not stopped."""
    resumed = SipTrunk.objects.filter(pk=trunk.pk, retired_at=None).exclude(stopped_at=None)
    if not (changed := resumed.update(stopped_at=None, stopped_reason="")):
        return False
    audit.record(action="trunk.resumed", target=trunk, actor=actor, reason=reason)
    mirror.wake_on_commit()
    return bool(changed)


@transaction.atomic
def retire_trunk(*, trunk: SipTrunk, actor: User | None = None, reason: str = "") -> None:
    """Take it out of use for good; its calls keep referring to it. Raises InUseError while numbers or customers use it."""
    row = _lock(trunk)
    if row.retired_at:
        return
    grants = TrunkGrant.all_objects.filter(owner_id=row.tenant_id, trunk=row, revoked_at=None)
    if grants.exclude(tenant_id=row.tenant_id).exists():
        raise InUseError(f"Customers use {row.name}. Take it from them first.")
    _refuse_numbers(grants)
    grants.update(revoked_at=Now())
    SipTrunk.objects.filter(pk=row.pk).update(retired_at=Now(), stopped_at=None, stopped_reason="")
    audit.record(action="trunk.retired", target=row, actor=actor, reason=reason)
    mirror.wake_on_commit()


@transaction.atomic
def grant_trunk(
    *,
    trunk: SipTrunk,
    channels: int,
    reserved_inbound: int = 0,
    customer: Tenant | None = None,
    actor: User | None = None,
    reason: str = "",
) -> TrunkGrant:
    """Let a tenant use its own or its agency's trunk, or change how many channels it gets. For staff of the agency.

    `customer` is the tenant in scope unless told otherwise, in the scope of the trunk's owner. Raises ValidationError
    naming the field.
    """
    customer = customer or Tenant.objects.get(pk=current_tenant_id())
    row = SipTrunk.all_objects.select_for_update(no_key=True, of=("self",)).get(pk=trunk.pk)
    if row.tenant_id not in (customer.pk, customer.agency_id) or row.retired_at:
        raise ValidationError({"trunk": "There is no such trunk of this account or its agency."})
    if current_tenant_id() not in (customer.pk, row.tenant_id):
        raise ValidationError({"customer": "There is no such customer."})
    if channels > row.channels:
        raise ValidationError({"channels": f"{row.name} has {row.channels} channels in all."})
    if reserved_inbound > channels:
        raise ValidationError({"reserved_inbound": f"At most the {channels} channels of the account."})
    grant = _set_grant(customer, row, {"channels": channels, "reserved_inbound": reserved_inbound})
    audit.record(
        action="trunk_grant.set",
        target=grant,
        actor=actor,
        fields=["channels", "reserved_inbound"],
        data={"customer": customer.pk},
        reason=reason,
    )
    return grant


def _set_grant(customer: Tenant, trunk: SipTrunk, lines: Mapping[str, int]) -> TrunkGrant:
    """Written past the scope, which may be the customer's or the owner's."""
    found: TrunkGrant | None = TrunkGrant.all_objects.filter(tenant=customer, trunk_id=trunk.pk, revoked_at=None).first()
    grant = found or TrunkGrant(tenant=customer, owner_id=trunk.tenant_id, trunk_id=trunk.pk)
    for name, value in lines.items():
        setattr(grant, name, value)
    grant.clean_fields(exclude=["tenant", "trunk"])
    if found:
        TrunkGrant.all_objects.filter(pk=grant.pk).update(**lines)
    else:
        TrunkGrant.all_objects.bulk_create([grant])
    return grant


@transaction.atomic
def revoke_grant(*, grant: TrunkGrant, actor: User | None = None, reason: str = "") -> None:
    """Take a trunk from the tenant in scope, or from a customer of it; running calls go on.

    Raises InUseError while a number uses it.
    """
    mine = Q(tenant_id=current_tenant_id()) | Q(owner_id=current_tenant_id())
    row: TrunkGrant = TrunkGrant.all_objects.select_for_update(no_key=True, of=("self",)).get(mine, pk=grant.pk)
    _refuse_numbers([row])
    if TrunkGrant.all_objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=Now()):
        audit.record(action="trunk_grant.revoked", target=row, actor=actor, data={"customer": row.tenant_id}, reason=reason)


def grants_of(trunk: SipTrunk) -> list[TrunkGrant]:
    """Who may use a trunk of the tenant in scope: itself first, then its customers by name."""
    rows = TrunkGrant.all_objects.filter(trunk_id=trunk.pk, owner_id=current_tenant_id(), revoked_at=None)
    found = list(rows.select_related("tenant"))
    return sorted(found, key=lambda grant: (grant.tenant_id != grant.owner_id, grant.tenant.name))


def _refuse_numbers(grants: Iterable[TrunkGrant]) -> None:
    numbers = PhoneNumber.all_objects.filter(grant__in=list(grants), released_at=None).order_by("phone")
    phones = list(numbers.values_list("phone", flat=True)[:4])
    if phones:
        shown = ", ".join(phones[:3]) + (" and others" if len(phones) > 3 else "")
        raise InUseError(f"Numbers are routed over it: {shown}. Release them, or move them to another trunk.")


def _lock(trunk: SipTrunk) -> SipTrunk:
    row: SipTrunk = SipTrunk.objects.select_for_update(no_key=True, of=("self",)).get(pk=trunk.pk)
    return row


def _only(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    if unknown := sorted(set(given) - set(names)):
        raise TypeError(f"cannot be set: {', '.join(unknown)}")
    return dict(given)


def _cleaned(given: dict[str, Any]) -> dict[str, Any]:
    if "address" in given:
        given["address"] = _address(given["address"])
    if "allowed_addresses" in given:
        given["allowed_addresses"] = _networks(given["allowed_addresses"])
    return given


def _address(text: str) -> str:
    """A bare host, as LiveKit wants it; whether it is reached is seen when the first call is placed."""
    address = text.strip().lower()
    for found, meant in _SUPERFLUOUS.items():
        if found in address:
            raise ValidationError({"address": f"{meant}; a bare host is needed, e.g. sip.example.com:5060."})
    host, colon, port = address.partition(":")
    if not (_HOST.fullmatch(host) or _is_public(host)) or (colon and not port.isdecimal()):
        shown = text.strip()[:60]
        raise ValidationError({"address": f"{shown!r} is no host. Write it like sip.example.com or sip.example.com:5060."})
    if port and not 0 < int(port) < 65536:
        raise ValidationError({"address": f"There is no port {port}."})
    return address


def _is_public(text: str) -> bool:
    """Whether it is an address, which has to be a public one."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    try:
        check_address(address, allow_loopback=settings.VP_OUTBOUND_LOOPBACK)
    except RefusedUrlError as error:
        raise ValidationError({"address": f"{error} Give the host that the carrier names for SIP."}) from error
    return True


def _networks(given: Iterable[str]) -> list[str]:
    found = []
    for text in given:
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError as error:
            message = f"{text.strip()[:60]!r} is no address or network. Write it like 203.0.113.7 or 203.0.113.0/28."
            raise ValidationError({"allowed_addresses": message}) from error
    return sorted(set(found))


def _change(row: CarrierAccount | SipTrunk, changes: Mapping[str, Any]) -> list[str]:
    """Store what differs; a secret that is given differs always."""
    changed = sorted(name for name, value in changes.items() if name in _SECRETS or getattr(row, name) != value)
    for name in changed:
        setattr(row, name, changes[name])
    if changed:
        _store(row, update_fields=changed)
    return changed


def _store(row: CarrierAccount | SipTrunk, **options: Any) -> None:
    row.clean_fields(exclude=["tenant"])
    if isinstance(row, SipTrunk) and row.auth_password is not None and not row.auth_username:
        raise ValidationError({"auth_username": "A password needs a user name."})
    try:
        with transaction.atomic():
            row.save(**options)
    except IntegrityError as error:
        same: models.QuerySet = type(row).objects.filter(name=row.name).exclude(pk=row.pk)
        if not same.exists():
            raise
        raise NameTakenError(f"There is another one called {row.name}.") from error
