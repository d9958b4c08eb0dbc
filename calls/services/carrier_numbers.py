"""Numbers at the carrier: what an account of the tenant in scope has there, buying, releasing, and leading calls here.

All of it asks the carrier, so none of it belongs into a transaction. With `dry_run` nothing changes, here or there.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from calls.carriers import PRESETS, Carrier
from calls.errors import (
    CarrierNotManagedError,
    InboundNotConfiguredError,
    InUseError,
    NotOwnedError,
    NotRoutedError,
    NumberTakenError,
)
from calls.models import CarrierAccount, PhoneNumber, TrunkGrant
from calls.services.numbers import add_number, release_number
from integrations import vonage
from tenants.models import User
from tenants.scope import current_tenant_id
from tenants.services import audit
from voiceplatform.lib.phone import InvalidPhoneError, parse_phone

Page = tuple[int, "Sequence[Owned]"]
_SIP: Final = "sip"


@dataclass(frozen=True, slots=True)
class Owned:
    """A number of the account. `is_linked` when its calls are led to LiveKit.

    `row` is what routes it for the tenant, or for a customer of it.
    """

    number: vonage.OwnedNumber
    row: PhoneNumber | None
    is_linked: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`steps` say what was done, or in a dry run what would be, in the order in which it is."""

    steps: tuple[str, ...]
    dry_run: bool
    row: PhoneNumber | None = None


def list_owned(*, account: CarrierAccount, page: int = 1, size: int = 50, pattern: str = "") -> Page:
    """How many numbers the account has in all, and one page of them; `page` begins at 1. Raises VonageError."""
    with _asking(account) as client:
        told = client.owned(pattern=pattern, match="contains", page=page, size=size)
    phones = [number.phone for number in told.numbers]
    found = _in_our_hands().filter(phone__in=phones, released_at=None).select_related("tenant")
    rows = {row.phone: row for row in found}
    return told.count, [Owned(number, rows.get(number.phone), _is_linked(number)) for number in told.numbers]


def search(*, account: CarrierAccount, country: str, **wanted: Any) -> vonage.AvailablePage:
    """Numbers that could be bought now; `wanted` as for VonageClient.available. Raises VonageError."""
    with _asking(account) as client:
        return client.available(country=country, **wanted)


def buy(
    *,
    account: CarrierAccount,
    phone: str,
    grant: TrunkGrant,
    country: str = "",
    label: str = "",
    actor: User | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> Outcome:
    """Buy a number and add it over the trunk of `grant`. One the account has already is not bought again.

    Raises VonageError, NumberTakenError, and ValidationError naming the field; a number that was bought before something
    else failed is added by asking again.
    """
    country = _checked_country(phone, country)
    row = _row_of(phone)
    if row is None and not TrunkGrant.objects.filter(pk=grant.pk, revoked_at=None).exists():
        raise ValidationError({"grant": "There is no such trunk that this account may use."})
    with _asking(account) as client:
        is_owned = client.find_owned(phone) is not None
        cost = "" if is_owned or not dry_run else _cost(client, phone, country)
        steps = [f"{phone} belongs to {account} already." if is_owned else f"Buy {phone} with {account}{cost}."]
        if not is_owned and not dry_run:
            # Whatever happens from here on, it can be seen that money may have been spent.
            audit.record(action="carrier_account.buys", target=account, actor=actor, reason=reason)
            _surely(lambda: client.buy(phone, country), lambda: client.find_owned(phone) is not None)
    steps.append(f"{phone} is among the numbers here already." if row else f"Add {phone} over {grant.trunk}.")
    if dry_run:
        return Outcome(tuple(steps), dry_run)
    with transaction.atomic():
        row = row or _added(phone, grant, label, actor)
        data = {"account": account.pk, "was_owned": is_owned}
        audit.record(action="number.bought", target=row, actor=actor, data=data, reason=reason)
    return Outcome(tuple(steps), dry_run, row)


def release(
    *,
    account: CarrierAccount,
    phone: str,
    also_here: bool = False,
    actor: User | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> Outcome:
    """Give a number back to the carrier. It must route nowhere, or `also_here` releases it here first.

    A number that is neither here nor there is given back already, which is no error. Raises InUseError, NotOwnedError,
    VonageError.
    """
    row = _routing_alone(phone, also_here=also_here)
    with _asking(account) as client:
        owned = _owned(client, account, phone) if row else client.find_owned(phone)
        steps = [f"Release {phone} here: it routes nowhere any more."] if row else []
        steps.append(_giving_back(account, phone) if owned else f"{account} does not have {phone}: nothing to give back there.")
        if dry_run:
            return Outcome(tuple(steps), dry_run)
        if row:
            release_number(number=row, actor=actor, reason=reason)
        if owned:
            _surely(lambda: client.cancel(phone, owned.country), lambda: client.find_owned(phone) is None)
    if owned:
        last = row or PhoneNumber.objects.filter(phone=phone).order_by("-id").first()
        audit.record(action="number.given_back", target=last or account, actor=actor, data={"account": account.pk}, reason=reason)
    return Outcome(tuple(steps), dry_run)


def link(*, account: CarrierAccount, phone: str, actor: User | None = None, reason: str = "", dry_run: bool = False) -> Outcome:
    """Let the carrier send calls to the number to LiveKit. What it did before is kept, for `unlink`.

    It may be a number of a customer of the tenant. Raises InboundNotConfiguredError, NotRoutedError, NumberTakenError,
    NotOwnedError, VonageError.
    """
    _sip_host()
    row = _row_of(phone, or_customers=True)
    if row is None:
        raise NotRoutedError(f"{phone} is not among the numbers here, so nobody would answer. Add it first.")
    with _asking(account) as client:
        owned = _owned(client, account, phone)
        if _is_linked(owned):
            return Outcome((f"Calls to {phone} come to LiveKit already.",), dry_run, row)
        wanted = replace(owned.callbacks, app_id="", voice_type=_SIP, voice_value=_address(phone))
        steps = _link_steps(phone, owned.callbacks, wanted)
        if dry_run:
            return Outcome(steps, dry_run, row)
        _in_our_hands().filter(pk=row.pk).update(callbacks_before=asdict(owned.callbacks))
        _lead(client, owned, wanted)
    audit.record(action="number.linked", target=row, actor=actor, data=_whose(row, account), reason=reason)
    return Outcome(steps, dry_run, row)


def unlink(*, account: CarrierAccount, phone: str, actor: User | None = None, reason: str = "", dry_run: bool = False) -> Outcome:
    """Let the carrier do with calls to the number what it did before `link`. It may be a number of a customer of the tenant.

    Raises InboundNotConfiguredError, NumberTakenError, NotOwnedError, VonageError.
    """
    _sip_host()
    _row_of(phone, or_customers=True)
    row = _in_our_hands().filter(phone=phone, callbacks_before__isnull=False).order_by("-id").first()
    with _asking(account) as client:
        owned = _owned(client, account, phone)
        if not _is_linked(owned):
            return Outcome((f"Calls to {phone} do not come to LiveKit; they stay as they are.",), dry_run, row)
        ended = replace(owned.callbacks, voice_type="", voice_value="")
        wanted = vonage.Callbacks(**row.callbacks_before) if row else ended
        steps = (f"Send calls to {phone} {_where(wanted)}.",)
        if dry_run:
            return Outcome(steps, dry_run, row)
        _lead(client, owned, wanted)
    if row:
        _in_our_hands().filter(pk=row.pk).update(callbacks_before=None)
    audit.record(action="number.unlinked", target=row or account, actor=actor, data=_whose(row, account), reason=reason)
    return Outcome(steps, dry_run, row)


@contextmanager
def _asking(account: CarrierAccount) -> Iterator[vonage.VonageClient]:
    """A client; how it went is noted at the account. Raises CarrierNotManagedError, VonageError."""
    if account.carrier != Carrier.VONAGE:
        managed = ", ".join(Carrier(name).label for name, preset in PRESETS.items() if preset.sells_numbers)
        told = f"Numbers of {account.get_carrier_display()} are managed in its own console; here only those of {managed}."
        raise CarrierNotManagedError(told)
    notes = CarrierAccount.objects.filter(pk=account.pk)
    try:
        yield vonage.vonage_client(api_key=account.api_key, api_secret=account.api_secret)
    except vonage.VonageError as error:
        if error.is_about_the_account:
            notes.update(check_error=str(error)[:500])
        else:
            notes.update(checked_at=Now(), check_error="")
        raise
    notes.update(checked_at=Now(), check_error="")


def _surely(act: Callable[[], None], has_happened: Callable[[], bool]) -> None:
    """Do it once. Where it may have happened in spite of an error, or by somebody else, a look at the carrier decides."""
    try:
        act()
    except vonage.VonageError as error:
        if error.is_about_the_account and not error.is_uncertain:
            raise
        if not _seen(has_happened):
            raise


def _seen(has_happened: Callable[[], bool]) -> bool:
    try:
        return has_happened()
    except vonage.VonageError:
        return False


def _checked_country(phone: str, country: str) -> str:
    """Where the carrier keeps the number; numbers of no country need to be told."""
    try:
        parsed = parse_phone(phone)
    except InvalidPhoneError as error:
        raise ValidationError({"phone": str(error)}) from error
    if not parsed.is_assignable:
        raise ValidationError({"phone": f"{phone} is no number that an operator hands out. Check its digits."})
    if not (country or parsed.country):
        raise ValidationError({"country": f"Say under which country the carrier sells {phone}."})
    return country or parsed.country


def _in_our_hands() -> QuerySet:
    """The numbers of the tenant in scope and of its customers, whose calls may come by its accounts."""
    tenant_id = current_tenant_id()
    rows: QuerySet = PhoneNumber.all_objects.filter(Q(tenant_id=tenant_id) | Q(tenant__agency_id=tenant_id))
    return rows


def _whose(row: PhoneNumber | None, account: CarrierAccount) -> dict[str, UUID]:
    customers = row is not None and row.tenant_id != account.tenant_id
    return {"account": account.pk} | ({"customer": row.tenant_id} if row and customers else {})


def _row_of(phone: str, *, or_customers: bool = False) -> PhoneNumber | None:
    """The row of the tenant, or of a customer of it, that routes the number. Raises NumberTakenError when it is another's."""
    row: PhoneNumber | None = PhoneNumber.all_objects.filter(phone=phone, released_at=None).first()
    ours = _in_our_hands() if or_customers else PhoneNumber.objects.all()
    if row is not None and not ours.filter(pk=row.pk).exists():
        raise NumberTakenError(f"{phone} routes to somebody already. A number belongs to one account at a time.")
    return row


def _routing_alone(phone: str, *, also_here: bool) -> PhoneNumber | None:
    try:
        row = _row_of(phone)
    except NumberTakenError as error:
        raise InUseError(f"{phone} routes for another account. It has to be released there first.") from error
    if row is not None and not also_here:
        raise InUseError(f"{phone} still routes here. Release it here first, or both at once.")
    return row


def _owned(client: vonage.VonageClient, account: CarrierAccount, phone: str) -> vonage.OwnedNumber:
    found = client.find_owned(phone)
    if found is None:
        raise NotOwnedError(f"{account} does not have {phone}. Look whether another account bought it.")
    return found


def _added(phone: str, grant: TrunkGrant, label: str, actor: User | None) -> PhoneNumber:
    try:
        return add_number(phone=phone, grant=grant, label=label, actor=actor)
    except NumberTakenError:
        # Somebody of this tenant did the same at the same time.
        if (row := _row_of(phone)) is None:
            raise
        return row


def _lead(client: vonage.VonageClient, owned: vonage.OwnedNumber, wanted: vonage.Callbacks) -> None:
    def is_so() -> bool:
        found = client.find_owned(owned.phone)
        return found is not None and found.callbacks.voice_value == wanted.voice_value

    _surely(lambda: client.update(owned.phone, owned.country, wanted), is_so)


def _cost(client: vonage.VonageClient, phone: str, country: str) -> str:
    """What the carrier asks for it now. Raises VonageError when it does not offer it."""
    offered = client.find_available(phone, country)
    if offered is None:
        told = f"Vonage does not offer {phone} at the moment. Choose another number."
        raise vonage.VonageError(told, trouble=vonage.Trouble.NUMBER)
    return f" for {offered.monthly_cost} {vonage.CURRENCY} a month" if offered.monthly_cost else ""


def _giving_back(account: CarrierAccount, phone: str) -> str:
    return f"Give {phone} back with {account}: it costs nothing any more, and may go to somebody else at once."


def _link_steps(phone: str, before: vonage.Callbacks, wanted: vonage.Callbacks) -> tuple[str, ...]:
    steps = [f"Send calls to {phone} {_where(wanted)}; until now they went {_where(before)}."]
    if before.app_id:
        steps.append(
            f"Take it from the Vonage application {before.app_id}, which gets its messages no more. Unlinking undoes it."
        )
    return tuple(steps)


def _where(callbacks: vonage.Callbacks) -> str:
    if callbacks.voice_value:
        return f"to {callbacks.voice_value}"
    return f"to the Vonage application {callbacks.app_id}" if callbacks.app_id else "nowhere"


def _sip_host() -> str:
    if not settings.LIVEKIT_SIP_HOST:
        told = "The platform does not know LiveKit's SIP host. Set LIVEKIT_SIP_HOST, such as example.sip.livekit.cloud."
        raise InboundNotConfiguredError(told)
    return str(settings.LIVEKIT_SIP_HOST)


def _address(phone: str) -> str:
    return f"sip:{phone.removeprefix('+')}@{_sip_host()};transport=tcp"


def _is_linked(number: vonage.OwnedNumber) -> bool:
    callbacks, host = number.callbacks, re.escape(settings.LIVEKIT_SIP_HOST)
    return bool(host) and callbacks.voice_type == _SIP and bool(re.search(rf"@{host}(?![\w.-])", callbacks.voice_value))
