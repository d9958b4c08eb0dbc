"""Usage is a running total, priced by dated rates; a missing price is said, never taken as nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from tenants.models import DefaultRate, Tenant, TenantRate, UsageRecord
from tenants.prices import PRICES, write_missing
from tenants.scope import tenant_scope
from tenants.services.usage import PRESETS, RatedTotal, estimate_elsewhere, rate_usage, record_usage
from voiceplatform.lib.money import round_money

pytestmark = pytest.mark.usefixtures("default_rates")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
CALL = uuid4()
MILLION = Decimal(1_000_000)
LINES: dict[str, tuple[str, str, str, str]] = {
    "ears": ("stt", "local", "whisper-base", "second"),
    "read": ("llm", "local", "default", "input_token"),
    "wrote": ("llm", "local", "default", "output_token"),
    "voice": ("tts", "local", "piper", "character"),
    "gemini": ("llm", "google", "gemini-3.8-flash", "input_token"),
    "gemini cached": ("llm", "google", "gemini-3.8-flash", "cached_input_token"),
    "gemini wrote": ("llm", "google", "gemini-3.8-flash", "output_token"),
    "chirp": ("stt", "google", "chirp_3", "second"),
    "unknown": ("llm", "google", "gemini-99", "output_token"),
    "test": ("tts", "test", "tone", "character"),
}


def use(line: str, quantity: Any) -> None:
    kind, provider, model, unit = LINES[line]
    subject: dict[str, Any] = {"subject_type": "call", "subject_id": CALL}
    record_usage(**subject, kind=kind, provider=provider, model=model, unit=unit, quantity=Decimal(quantity))


def rate(at: datetime = NOW) -> RatedTotal:
    return rate_usage(subject_type="call", subject_id=CALL, at=at)


def set_rate(line: str, price: str, *, model: type = TenantRate, **more: Any) -> Any:
    kind, provider, name, unit = LINES[line]
    fields = {"per": Decimal(1), "effective_from": datetime(2026, 6, 1, tzinfo=UTC), "source": "test", "currency": "USD"} | more
    return model.objects.create(kind=kind, provider=provider, model=name, unit=unit, price=Decimal(price), **fields)


def test_totals_only_grow(scope: Tenant) -> None:
    for quantity in (10, 30, 20, 30):
        use("ears", quantity)
    assert UsageRecord.objects.get().quantity == 30


@pytest.mark.django_db(transaction=True)
def test_racing_reports_of_one_total_keep_the_largest(tenant: Tenant) -> None:
    def report(quantity: int) -> None:
        with tenant_scope(tenant):
            use("ears", quantity)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(report, range(1, 21)))
    assert UsageRecord.all_objects.get().quantity == 20


@pytest.mark.parametrize("wrong", [{"kind": "smell"}, {"unit": "furlong"}])
def test_an_unknown_kind_or_unit_is_refused(scope: Tenant, wrong: dict[str, str]) -> None:
    line = {"kind": "stt", "unit": "second"} | wrong
    with pytest.raises(ValueError, match="is not a valid"):
        record_usage(subject_type="call", subject_id=CALL, provider="local", model="x", quantity=Decimal(1), **line)


def test_local_stages_cost_something(scope: Tenant) -> None:
    for line in ("ears", "read", "wrote", "voice"):
        use(line, 3600)
    total = rate()
    exact = Decimal("0.0035") + 3600 * (Decimal("0.296") + Decimal("0.741") + Decimal("0.059")) / MILLION
    assert total == RatedTotal(cost=round_money(exact), currency="USD", missing=[])
    assert all(row.cost and row.cost > 0 and row.rate_source for row in UsageRecord.objects.all())


def test_the_cost_is_quantity_times_rate_rounded_once(scope: Tenant) -> None:
    for line in ("ears", "read", "voice"):
        set_rate(line, "0.000001", per=Decimal(3))
        use(line, 1)
    assert rate().cost == Decimal("0.000001")
    assert {row.cost for row in UsageRecord.objects.all()} == {Decimal("0.000000")}


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        (datetime(2026, 12, 31, 12, tzinfo=UTC), ("0.75", "0.075", "3.75")),
        (datetime(2027, 1, 1, 12, tzinfo=UTC), ("1.50", "0.15", "7.50")),
    ],
)
def test_language_models_cost_what_their_vendor_asks_on_that_day(scope: Tenant, at: datetime, cost: tuple[str, ...]) -> None:
    for line in ("gemini", "gemini cached", "gemini wrote"):
        use(line, MILLION)
    assert rate(at) == RatedTotal(cost=sum(map(Decimal, cost), Decimal(0)), currency="USD", missing=[])
    rows = UsageRecord.objects.order_by("pk").values_list("cost", "rate_per", "rate_source")
    assert [row[0] for row in rows] == list(map(Decimal, cost))
    assert {row[1:] for row in rows} == {(MILLION, "genai-prices")}


def test_many_short_prompts_do_not_reach_the_price_of_long_ones(scope: Tenant) -> None:
    subject: dict[str, Any] = {"subject_type": "call", "subject_id": CALL, "kind": "llm", "unit": "input_token"}
    record_usage(**subject, provider="google", model="gemini-3.1-pro-preview", quantity=MILLION)
    assert rate().cost == Decimal(2)


def test_a_missing_price_is_named_logged_and_left_open(scope: Tenant, caplog: Any) -> None:
    use("ears", 3600)
    use("unknown", 5)
    use("test", 0)
    total = rate()
    assert total.cost == Decimal("0.0035")
    assert total.missing == ["google gemini-99 (output_token): no price"]
    assert "usage without a price" in caplog.text
    assert UsageRecord.objects.get(model="gemini-99").cost is None


def test_the_tenants_own_rate_comes_first_and_is_its_own(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        set_rate("gemini", "1")
    for owner, cost in ((tenant, Decimal(2)), (other_tenant, Decimal("0.000002"))):
        with tenant_scope(owner):
            use("gemini", 2)
            assert rate().cost == cost


def test_a_default_rate_that_staff_entered_beats_the_vendors_list(scope: Tenant) -> None:
    set_rate("gemini", "1", model=DefaultRate)
    use("gemini", 2)
    assert rate().cost == 2


def test_the_newest_rate_that_has_begun_applies(scope: Tenant) -> None:
    for month, price in ((1, "1"), (7, "2"), (12, "3")):
        set_rate("ears", price, effective_from=datetime(2026, month, 1, tzinfo=UTC))
    use("ears", 1)
    costs = [rate(datetime(2026, month, 15, tzinfo=UTC)).cost for month in (2, 7, 11, 12)]
    assert costs == [1, 2, 2, 3]


def test_the_rate_on_the_line_outlives_an_edit(scope: Tenant) -> None:
    own = set_rate("ears", "1")
    use("ears", 7)
    rate()
    own.price = Decimal(9)
    own.save()
    row = UsageRecord.objects.get()
    assert (row.cost, row.rate_price, row.rate_per, row.rate_currency) == (7, 1, 1, "USD")
    assert rate().cost == 63


def test_currencies_are_never_added_up(scope: Tenant) -> None:
    Tenant.objects.filter(pk=scope.pk).update(currency="EUR")
    use("ears", 3600)
    assert rate() == RatedTotal(cost=Decimal("0.0035"), currency="USD", missing=[])
    set_rate("voice", "2", currency="EUR")
    use("voice", 3)
    assert rate() == RatedTotal(
        cost=Decimal(6), currency="EUR", missing=["local whisper-base (second): priced in USD, not in EUR"]
    )


def test_rating_nothing_costs_nothing(scope: Tenant, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(6):
        assert rate() == RatedTotal(cost=Decimal(0), currency="USD", missing=[])


def test_the_same_call_elsewhere(scope: Tenant) -> None:
    use("ears", 3600)
    use("read", 600_000)
    subject: dict[str, Any] = {"subject_type": "call", "subject_id": CALL}
    record_usage(**subject, kind="llm", provider="local", model="default", unit="cached_input_token", quantity=Decimal(400_000))
    use("wrote", MILLION)
    use("voice", 1000)
    estimate = estimate_elsewhere(UsageRecord.objects.all(), "gemini-elevenlabs", at=NOW)
    assert estimate.by_kind == {"stt": Decimal("0.22"), "llm": Decimal("4.5"), "tts": Decimal("0.04")}
    assert (estimate.cost, estimate.currency, estimate.missing) == (Decimal("4.76"), "USD", [])
    assert (estimate.label, estimate.priced_at) == ("Gemini + ElevenLabs", NOW)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_price_for_everything_that_is_measured(scope: Tenant, preset: str) -> None:
    units = [
        ("stt", "second"),
        ("tts", "character"),
        ("llm", "input_token"),
        ("llm", "cached_input_token"),
        ("llm", "output_token"),
    ]
    lines = [SimpleNamespace(kind=kind, unit=unit, quantity=Decimal(1000)) for kind, unit in units]
    estimate = estimate_elsewhere(lines, preset, at=NOW)
    assert estimate.missing == []
    assert set(estimate.by_kind) == {"stt", "llm", "tts"}


def test_seeding_again_keeps_what_staff_edited(db: None) -> None:
    assert DefaultRate.objects.count() == len(PRICES)
    DefaultRate.objects.filter(kind="stt", provider="local").update(price=Decimal(7))
    assert write_missing(DefaultRate) == 0
    assert DefaultRate.objects.get(kind="stt", provider="local").price == 7
    assert all(price.price > 0 and price.source for price in PRICES)


def test_each_subject_is_rated_for_itself(scope: Tenant) -> None:
    use("ears", 3600)
    record_usage(subject_type="chat", subject_id=CALL, kind="stt", provider="x", model="x", unit="second", quantity=Decimal(1))
    assert rate().missing == []
