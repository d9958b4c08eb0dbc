"""Measuring what a call or another subject used, and what that cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Greatest

from tenants.models import Kind, Tenant, Unit, UsageRecord
from tenants.scope import current_tenant_id
from tenants.services.rates import RateBook, RateRef
from voiceplatform.lib.money import round_money

logger = structlog.get_logger(__name__)


class Measured(Protocol):
    """A quantity of one kind and unit, whoever provided it. A UsageRecord is one."""

    @property
    def kind(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class RatedTotal:
    """What a subject cost. `missing` says in words which lines have no price; they are not in `cost`."""

    cost: Decimal
    currency: str
    missing: list[str]


@dataclass(frozen=True, slots=True)
class Preset:
    """Another set of providers to compare with."""

    label: str
    providers: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the same usage would have cost elsewhere at the prices of `priced_at`."""

    label: str
    cost: Decimal
    currency: str
    by_kind: Mapping[str, Decimal]
    missing: list[str]
    priced_at: datetime


@dataclass(frozen=True, slots=True)
class _Line:
    kind: str
    provider: str
    model: str
    unit: str
    quantity: Decimal


PRESETS: Final[Mapping[str, Preset]] = {
    "gemini-elevenlabs": Preset(
        label="Gemini + ElevenLabs",
        providers={
            Kind.STT: ("elevenlabs", "scribe_v2_realtime"),
            Kind.LLM: ("google", "gemini-3.8-flash"),
            Kind.TTS: ("elevenlabs", "eleven_flash_v2_5"),
        },
    ),
    "google": Preset(
        label="Google",
        providers={
            Kind.STT: ("google", "chirp_3"),
            Kind.LLM: ("google", "gemini-3.8-flash"),
            Kind.TTS: ("google", "chirp3-hd"),
        },
    ),
}


def record_usage(
    *,
    subject_type: str,
    subject_id: UUID,
    kind: str,
    provider: str,
    model: str,
    unit: str,
    quantity: Decimal,
    source: str = "",
) -> None:
    """Keep a running total. Totals only grow, so a report that arrives late or twice changes nothing."""
    line = {"kind": Kind(kind), "provider": provider, "model": model, "unit": Unit(unit), "source": source}
    subject = {"subject_type": subject_type, "subject_id": subject_id}
    with transaction.atomic():
        row, created = UsageRecord.objects.get_or_create(**subject, **line, defaults={"quantity": quantity})
        if not created:
            UsageRecord.objects.filter(pk=row.pk).update(quantity=Greatest("quantity", quantity))


@transaction.atomic
def rate_usage(*, subject_type: str, subject_id: UUID, at: datetime) -> RatedTotal:
    """Price everything a subject used at the rates of `at`, keep each line's cost and rate, and add it up.

    May run again; the costs are then computed anew. A line without a price is named, logged and left without a cost.
    """
    rows = list(UsageRecord.objects.select_for_update().filter(subject_type=subject_type, subject_id=subject_id).order_by("id"))
    book = RateBook.open(rows, at=at)
    found = [(row, book.find(row)) for row in rows]
    currency = _currency([rate.currency for _, rate in found if rate])
    missing: list[str] = []
    total = Decimal(0)
    for row, rate in found:
        usable = rate if rate and rate.currency == currency else None
        _keep(row, usable)
        if usable:
            total += usable.cost(row.quantity)
        elif row.quantity:
            missing.append(_without_price(row, rate, currency))
    UsageRecord.objects.bulk_update(rows, ["cost", "rate_price", "rate_per", "rate_currency", "rate_source"])
    if missing:
        logger.warning("usage without a price", subject_type=subject_type, subject_id=str(subject_id), missing=missing)
    return RatedTotal(cost=round_money(total), currency=currency, missing=missing)


def estimate_elsewhere(lines: Iterable[Measured], preset: str, *, at: datetime) -> Estimate:
    """What the same quantities would cost with the providers of a preset, at the rates of `at`.

    Cached input counts as fresh: another vendor's cache would have been cold.
    """
    chosen = PRESETS[preset]
    moved = [_moved(line, chosen) for line in lines if line.quantity and line.kind in chosen.providers]
    book = RateBook.open(moved, at=at)
    found = [(line, book.find(line)) for line in moved]
    currency = _currency([rate.currency for _, rate in found if rate])
    exact: dict[str, Decimal] = {}
    missing: list[str] = []
    for line, rate in found:
        if rate and rate.currency == currency:
            exact[line.kind] = exact.get(line.kind, Decimal(0)) + rate.cost(line.quantity)
        else:
            missing.append(_without_price(line, rate, currency))
    return Estimate(
        label=chosen.label,
        cost=round_money(sum(exact.values(), Decimal(0))),
        currency=currency,
        by_kind={kind: round_money(cost) for kind, cost in exact.items()},
        missing=missing,
        priced_at=at,
    )


def _moved(line: Measured, preset: Preset) -> _Line:
    provider, model = preset.providers[line.kind]
    unit = Unit.INPUT_TOKEN if line.unit == Unit.CACHED_INPUT_TOKEN else line.unit
    return _Line(kind=line.kind, provider=provider, model=model, unit=unit, quantity=Decimal(line.quantity))


def _keep(row: UsageRecord, rate: RateRef | None) -> None:
    row.cost = round_money(rate.cost(row.quantity)) if rate else None
    row.rate_price = rate.price if rate else None
    row.rate_per = rate.per if rate else None
    row.rate_currency = rate.currency if rate else ""
    row.rate_source = rate.source if rate else ""


def _currency(currencies: list[str]) -> str:
    """The tenant's currency where anything is priced in it, else the first one: amounts are never converted."""
    own = Tenant.objects.values_list("currency", flat=True).get(pk=current_tenant_id())
    return own if own in currencies or not currencies else currencies[0]


def _without_price(line: UsageRecord | _Line, rate: RateRef | None, currency: str) -> str:
    what = f"{line.provider} {line.model} ({line.unit})"
    return f"{what}: priced in {rate.currency}, not in {currency}" if rate else f"{what}: no price"
