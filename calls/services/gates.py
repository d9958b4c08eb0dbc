"""The person gates: whether somebody may be called at all, and now. Every outbound call passes them, when it is placed and
again when it is dialed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q

from calls.errors import GateRefusedError
from calls.models import Call, CallingWindow, Consent, Lead, PhoneNumber, Suppression
from calls.models.suppression import in_force
from calls.models.window import EVERY_DAY
from calls.services.attempts import WEEK, attempt_times, spent
from calls.windows import Hours, is_open, next_opening
from tenants.models import Tenant, TenantLimits, User
from tenants.services import audit
from tenants.services.limits import Limits, effective_limits
from voiceplatform.lib.countries import countries, country_of_zone
from voiceplatform.lib.holidays import holiday_name
from voiceplatform.lib.phone import InvalidPhoneError, Kind, Phone, ShortNumberError, parse_phone

INVALID_NUMBER: Final = "invalid_number"
NUMBER_TYPE: Final = "number_type_not_allowed"
COUNTRY: Final = "country_not_allowed"
SUPPRESSED: Final = "recipient_suppressed"
NO_CONSENT: Final = "no_consent"
OPEN_CALL: Final = "call_open_to_recipient"
TOO_OFTEN: Final = "recipient_called_too_often"
OUTSIDE_WINDOW: Final = "outside_calling_window"
OWN_NUMBER: Final = "own_number"

# What each refusal means, in the order in which the gates are asked.
GATES: Final[Mapping[str, str]] = {
    INVALID_NUMBER: "The number cannot be called: no operator hands out such a number.",
    NUMBER_TYPE: "Numbers of this kind are never called: premium rate, shared cost, satellite, pagers, short and emergency ones.",
    COUNTRY: "The account may not call this country.",
    SUPPRESSED: "The number must not be called: it is suppressed by the account or its agency.",
    NO_CONSENT: "The call needs the person's consent to calls, and there is none.",
    OPEN_CALL: "There is a call to this number already that has not ended.",
    TOO_OFTEN: "The number was called as often as the account may call one in 24 hours or 7 days; Retry-After says until when.",
    OUTSIDE_WINDOW: "It is outside the calling window where the person is; Retry-After says when it opens, if it does.",
    OWN_NUMBER: "The account's own agents answer this number: whoever is put through there would be back with one of them.",
}
OVERRIDABLE: Final = frozenset({SUPPRESSED, NO_CONSENT, TOO_OFTEN, OUTSIDE_WINDOW})
CALLABLE_KINDS: Final = frozenset({Kind.FIXED_LINE, Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.TOLL_FREE, Kind.VOIP, Kind.UAN})
DEFAULT_HOURS: Final = (Hours(frozenset(EVERY_DAY), time(8), time(21)),)
AFTERMATH_S: Final = 60
_MAY_STILL_RING: Final = timedelta(minutes=5)
_KIND_NAMES: Final = {
    Kind.PREMIUM_RATE: "a premium-rate number",
    Kind.SHARED_COST: "a shared-cost number",
    Kind.PERSONAL_NUMBER: "a personal number with its own prices",
    Kind.PAGER: "a pager",
    Kind.VOICEMAIL: "a voicemail box",
    Kind.INTERNATIONAL: "a satellite or international service number",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may be placed. A refusal has a code of GATES and a sentence for people.

    `phone` is E.164, and what was asked for when it is no number. `overridden` names the refusals that were overridden.
    """

    allowed: bool
    phone: str
    code: str = ""
    sentence: str = ""
    retry_at: datetime | None = None
    overridden: tuple[str, ...] = ()

    def require(self) -> None:
        """Raises GateRefusedError unless the call may be placed."""
        if not self.allowed:
            raise GateRefusedError(self.code, self.sentence, self.retry_at)


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    sentence: str
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """What the gates look at, fetched once."""

    phone: Phone
    now: datetime
    requires_consent: bool
    tenant: Tenant
    allowed_countries: list[str]
    limits: Limits
    lead: Lead | None
    call: Call | None
    livemode: bool

    @property
    def zones(self) -> tuple[str, ...]:
        """Where the person is known to be, else everywhere the phone may ring."""
        return (self.lead.timezone,) if self.lead and self.lead.timezone else self.phone.zones


def check_person(
    *,
    phone: str,
    now: datetime,
    requires_consent: bool,
    override_reason: str = "",
    actor: User | None = None,
    subject: models.Model | None = None,
    passing: frozenset[str] = frozenset(),
    call: Call | None = None,
    livemode: bool = True,
) -> Verdict:
    """Whether the tenant in scope may call `phone` at `now`.

    With `override_reason` refusals of OVERRIDABLE pass, and the audit says so about `subject` (the call to be placed;
    else the tenant). Who gives one must have the scope calls:override_gates: that is for the caller to check. `passing`
    are refusals that were overridden before, and `call` is the stored call that this is about. Calls without `livemode`
    may be repeated as often as one likes, and count for nobody.
    """
    parsed = _parsed(phone)
    if isinstance(parsed, Verdict):
        return parsed
    question = _question(parsed, now=now, requires_consent=requires_consent, call=call, livemode=livemode)
    overridden: list[str] = []
    for gate in _GATES:
        refusal = gate(question)
        if refusal is None or refusal.code in passing:
            continue
        if not (override_reason and refusal.code in OVERRIDABLE):
            return Verdict(False, parsed.e164, refusal.code, refusal.sentence, refusal.retry_at)
        overridden.append(refusal.code)
    if overridden:
        data = dict.fromkeys(overridden, True)
        target = subject or question.tenant
        audit.record(action="gates.overridden", target=target, actor=actor, data=data, reason=override_reason)
    return Verdict(allowed=True, phone=parsed.e164, overridden=tuple(overridden))


def warm_up() -> None:
    """Load what the gates look things up in, so that the first question of a process takes no longer than the next."""
    holiday_name(parse_phone("+12125550123").country, date(2026, 1, 1))


def check_target(*, phone: str, now: datetime) -> Verdict:
    """Whether somebody in a call of the tenant in scope may be put through to `phone`, which was asked for by its owner's
    business and so needs neither consent nor a calling window. A number of the tenant's own leads back to an agent.
    """
    parsed = _parsed(phone)
    if isinstance(parsed, Verdict):
        return parsed
    question = _question(parsed, now=now, requires_consent=False, call=None, livemode=True)
    for gate in (_number_type, _country, _suppression, _own_number):
        if refusal := gate(question):
            return Verdict(False, parsed.e164, refusal.code, refusal.sentence, refusal.retry_at)
    return Verdict(allowed=True, phone=parsed.e164)


def _parsed(phone: str) -> Phone | Verdict:
    try:
        return parse_phone(phone)
    except ShortNumberError as error:
        return Verdict(allowed=False, phone=phone, code=NUMBER_TYPE, sentence=str(error))
    except InvalidPhoneError as error:
        return Verdict(allowed=False, phone=phone, code=INVALID_NUMBER, sentence=str(error))


def _question(phone: Phone, *, now: datetime, requires_consent: bool, call: Call | None, livemode: bool) -> _Question:
    limits: TenantLimits = TenantLimits.objects.select_related("tenant").get()
    return _Question(
        phone=phone,
        now=now,
        requires_consent=requires_consent,
        tenant=limits.tenant,
        allowed_countries=limits.allowed_countries,
        limits=effective_limits(),
        lead=Lead.objects.filter(phone=phone.e164).first(),
        call=call,
        livemode=livemode,
    )


def refused_kind(phone: Phone) -> str:
    """Why numbers of this kind are never rung, in a sentence; empty when they may be."""
    if phone.kind in CALLABLE_KINDS:
        return ""
    if phone.kind == Kind.UNKNOWN:
        return f"{phone.e164} is not in use: no operator hands out such a number. Check its digits."
    return f"{phone.e164} is {_KIND_NAMES[phone.kind]}; agents never call those."


def _number_type(question: _Question) -> _Refusal | None:
    if not (sentence := refused_kind(question.phone)):
        return None
    return _Refusal(INVALID_NUMBER if question.phone.kind == Kind.UNKNOWN else NUMBER_TYPE, sentence)


def _country(question: _Question) -> _Refusal | None:
    country = question.phone.country
    home = country_of_zone(question.tenant.timezone)
    allowed = question.allowed_countries or ([home] if home else [])
    if country in allowed:
        return None
    where = countries().get(country, country) or "an unknown country"
    listed = ", ".join(sorted(allowed)) or "none, for its time zone lies in no country"
    return _Refusal(
        COUNTRY,
        f"{question.phone.e164} is in {where}, and this account may call: {listed}. Staff add countries to the tenant's limits.",
    )


def _suppression(question: _Question) -> _Refusal | None:
    tenant, e164 = question.tenant, question.phone.e164
    owners = [tenant.pk, tenant.agency_id] if tenant.agency_id else [tenant.pk]
    found = Suppression.all_objects.filter(in_force(question.now), tenant_id__in=owners, phone=e164)
    rows = list(found.values_list("tenant_id", "expires_at"))
    if not rows:
        return None
    whose = "this account" if tenant.pk in {owner for owner, _ in rows} else "the agency"
    ends = [expires_at for _, expires_at in rows if expires_at is not None]
    retry_at = _pass_after(question, max(ends)) if len(ends) == len(rows) else None
    return _Refusal(SUPPRESSED, f"{e164} is on the do-not-call list of {whose}.", retry_at)


def _own_number(question: _Question) -> _Refusal | None:
    e164 = question.phone.e164
    if not PhoneNumber.objects.filter(phone=e164, released_at=None).exists():
        return None
    return _Refusal(OWN_NUMBER, f"{e164} is a number that your own agents answer. Give the phone of the person or the queue.")


def _pass_after(question: _Question, at: datetime) -> datetime | None:
    """The first moment from `at` on at which the gates that come after this one let the call pass."""
    later = replace(question, now=at)
    if _consent(later):
        return None
    refused = _attempts(later) or _window(later)
    return refused.retry_at if refused else at


def _consent(question: _Question) -> _Refusal | None:
    if not question.requires_consent:
        return None
    given = Q(kind=Consent.Kind.CALLS, withdrawn_at=None, given_at__lte=question.now)
    if question.lead is not None and question.lead.consents.filter(given).exists():
        return None
    return _Refusal(NO_CONSENT, f"There is no consent of {question.phone.e164} to being called. Record it with the lead first.")


def _open_call(question: _Question) -> _Refusal | None:
    """One call at a time; after one whose end nobody knows, the phone may still ring for a while."""
    e164 = question.phone.e164
    others = Call.objects.filter(kind=Call.Kind.OUTBOUND, phone=e164).exclude(pk=question.call.pk if question.call else None)
    if others.open().exists():
        return _Refusal(OPEN_CALL, f"There is a call to {e164} already that has not ended.")
    lost = others.filter(disposition=Call.Disposition.UNKNOWN, ended_at__gt=question.now - _MAY_STILL_RING)
    ended_at, ring_s = lost.order_by("-ended_at").values_list("ended_at", "ring_timeout_s").first() or (None, 0)
    free_at = ended_at + timedelta(seconds=ring_s + AFTERMATH_S) if ended_at else question.now
    if free_at <= question.now:
        return None
    return _Refusal(OPEN_CALL, f"How the last call to {e164} ended is unknown, so it may still ring.", free_at)


def _attempts(question: _Question) -> _Refusal | None:
    if not question.livemode:
        return None
    e164, now = question.phone.e164, question.now
    times = attempt_times(phone=e164, since=now - WEEK, until=now, but=question.call)
    used_up = spent(times, question.limits, now)
    if not used_up:
        return None
    limits = " and ".join(f"{most} {'call' if most == 1 else 'calls'} in {period}" for most, period, _ in used_up)
    ends = [at for _, _, at in used_up if at is not None]
    retry_at = _pass_after(question, max(ends)) if len(ends) == len(used_up) else None
    then = f"It may be called again from {retry_at:%Y-%m-%dT%H:%M:%SZ}." if retry_at else "No moment is known at which it may."
    return _Refusal(TOO_OFTEN, f"{e164} was called as often as the account may call one number: {limits}. {then}", retry_at)


def _window(question: _Question) -> _Refusal | None:
    country, zones, hours = question.phone.country, question.zones, _hours(question.phone.country)

    def is_holiday(day: date) -> bool:
        return bool(holiday_name(country, day))

    if is_open(hours, zones, question.now, is_holiday):
        return None
    if not zones:
        return _Refusal(OUTSIDE_WINDOW, f"Nobody knows what time it is at {question.phone.e164}. Set the lead's time zone.")
    opens_at = next_opening(hours, zones, question.now, is_holiday)
    clocks = [(question.now.astimezone(ZoneInfo(zone)), zone) for zone in zones]
    clock = ", ".join(f"{local:%H:%M} in {zone}" for local, zone in clocks[:3])
    more = f" and {len(zones) - 3} more zones" if len(zones) > 3 else ""
    then = (
        f"It opens at {opens_at:%Y-%m-%dT%H:%M:%SZ}."
        if opens_at
        else "No moment of the next two weeks lies within it in all of these zones: set the lead's time zone or widen the window."
    )
    today = next((name for local, _ in clocks if (name := holiday_name(country, local.date()))), "")
    why = f", on {today}" if today else ""
    where = f"{question.phone.e164}: {clock}{more}{why}"
    return _Refusal(OUTSIDE_WINDOW, f"It is outside the calling window at {where}. {then}", opens_at)


def _hours(country: str) -> tuple[Hours, ...]:
    """The windows of the country, else those for every country, else the platform's."""
    rows = list(CallingWindow.objects.filter(country__in=["", country]))
    own = [row for row in rows if row.country] or rows
    return tuple(Hours(frozenset(row.weekdays), row.starts_at, row.ends_at, row.on_holidays) for row in own) or DEFAULT_HOURS


_GATES: Final[tuple[Callable[[_Question], _Refusal | None], ...]] = (
    _number_type,
    _country,
    _suppression,
    _consent,
    _open_call,
    _attempts,
    _window,
)
