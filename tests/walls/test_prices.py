"""Everything an agent can be set to use has a price today and next year: no call is silently free."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from agents.catalogue import STAGES
from tenants.models import Tenant
from tenants.services.rates import RateBook

UNITS = {"stt": ["second"], "llm": ["input_token", "cached_input_token", "output_token"], "tts": ["character"]}


def lines() -> Iterator[SimpleNamespace]:
    for stage, providers in STAGES.items():
        for key, provider in providers.items():
            for model in provider.models:
                yield from (SimpleNamespace(kind=stage, provider=key, model=model, unit=unit) for unit in UNITS[stage])


@pytest.mark.parametrize("at", [datetime(2026, 11, 24, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)])
def test_everything_in_the_catalogue_has_a_price(scope: Tenant, default_rates: None, at: datetime) -> None:
    book = RateBook.open(lines(), at=at)
    free = [line for line in lines() if not (rate := book.find(line)) or rate.price <= 0]
    assert free == []
