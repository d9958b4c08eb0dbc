"""Finding the price of a unit: the tenant's own rate, else the default rate, else what `genai-prices` knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final, Protocol, Self

from tenants.models import DefaultRate, Kind, TenantRate, Unit
from tenants.prices import MILLION

# Priced by the thousand: a vendor's higher tier for very long prompts must not apply to the sum of many short ones.
_SAMPLE: Final = 1000
_SAMPLES: Final[Mapping[str, Mapping[str, int]]] = {
    Unit.INPUT_TOKEN: {"input_tokens": _SAMPLE},
    Unit.CACHED_INPUT_TOKEN: {"input_tokens": _SAMPLE, "cache_read_tokens": _SAMPLE},
    Unit.OUTPUT_TOKEN: {"output_tokens": _SAMPLE},
}


class Priced(Protocol):
    """What a price is looked up for."""

    @property
    def kind(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RateRef:
    """A price as plain values, so that it stays true when the rate is edited."""

    price: Decimal
    per: Decimal
    currency: str
    source: str

    def cost(self, quantity: Decimal) -> Decimal:
        """Exact; round once, at the end."""
        return quantity * self.price / self.per


class RateBook:
    """The rates of the tenant in scope at one moment, for the lines it was opened for; two queries."""

    def __init__(self, rates: Iterable[DefaultRate | TenantRate], at: datetime) -> None:
        self._at = at
        self._rates: dict[tuple[str, ...], RateRef] = {}
        for rate in rates:
            ref = RateRef(price=rate.price, per=rate.per, currency=rate.currency, source=rate.source)
            self._rates.setdefault((rate.kind, rate.provider, rate.model, rate.unit), ref)

    @classmethod
    def open(cls, lines: Iterable[Priced], *, at: datetime) -> Self:
        providers = {line.provider for line in lines}
        wanted: dict[str, Any] = {"provider__in": providers, "effective_from__lte": at}
        own = TenantRate.objects.filter(**wanted).order_by("-effective_from")
        default = DefaultRate.objects.filter(**wanted).order_by("-effective_from")
        return cls(chain(own, default), at)

    def find(self, line: Priced) -> RateRef | None:
        """The rate of the model, else of its provider. None when nobody knows a price.

        Of a carrier's `outbound US` the rate of that, else of `outbound`, else of the carrier.
        """
        words = line.model.split(" ") if line.kind == Kind.TELEPHONY else [line.model]
        for model in [" ".join(words[:count]) for count in range(len(words), -1, -1)]:
            if rate := self._rates.get((line.kind, line.provider, model, line.unit)):
                return rate
        return _vendor_price(line, self._at) if line.kind == Kind.LLM else None


def _vendor_price(line: Priced, at: datetime) -> RateRef | None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - 30 MB for the few processes that price a vendor's model

    sample = _SAMPLES.get(line.unit)
    if sample is None:
        return None
    try:
        found = calc_price(Usage(**sample), line.model, provider_id=line.provider, genai_request_timestamp=at)
    except LookupError:
        return None
    price = found.output_price if line.unit == Unit.OUTPUT_TOKEN else found.input_price
    return RateRef(price=price * MILLION / _SAMPLE, per=MILLION, currency="USD", source="genai-prices")
