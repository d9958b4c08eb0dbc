"""Usage over the API: added up by day, agent and kind."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from calls.models import Call
from tenants.models import Tenant


@pytest.fixture
def make_used(placed, agent, within):
    """A call that began at a time, lasted `seconds` and cost something."""

    def make(at, *, seconds=60, cost="0.5", **fields):
        call = placed(agent=fields.pop("agent", agent), status="ended", finalized=True, **fields)
        times = {"created_at": at, "answered_at": at, "ended_at": at + timedelta(seconds=seconds)}
        within(lambda: Call.objects.filter(pk=call.pk).update(livemode=call.kind == "web", cost=cost, **times))
        return call

    return make


def usage(api, **query):
    response = api.get("usage", query_params=query)
    assert response.status_code == 200, response.content
    return response.json()["data"]


DAY = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOVEMBER = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}


def test_days_are_the_tenants_own(api, tenant, make_used):
    Tenant.objects.filter(pk=tenant.pk).update(timezone="America/Chicago")
    make_used(DAY.replace(hour=3), kind="web")  # the evening before, there
    make_used(DAY, kind="web", seconds=30)
    make_used(DAY, kind="web", cost="1.25")
    first, second = usage(api, **NOVEMBER)
    assert (first["day"], first["calls"], first["duration_s"]) == ("2026-11-01", 1, 60.0)
    costs = [{"currency": tenant.currency, "amount": "1.750000"}]
    assert second == {
        "day": "2026-11-02",
        "calls": 2,
        "answered_calls": 2,
        "duration_s": 90.0,
        "costs": costs,
        "calls_without_final_cost": 0,
    }


def test_test_calls_count_only_when_asked_for(api, make_used):
    make_used(DAY, kind="web")
    make_used(DAY, kind="simulated")
    assert [line["calls"] for line in usage(api, **NOVEMBER)] == [1]
    lines = usage(api, **NOVEMBER, group_by="kind", include_test="true")
    assert [(line["kind"], line["calls"]) for line in lines] == [("simulated", 1), ("web", 1)]


def test_agents_and_currencies_are_kept_apart(api, agent, make_used, within):
    first, second = make_used(DAY, kind="web"), make_used(DAY, kind="web", cost="2")
    within(lambda: Call.objects.filter(pk=second.pk).update(currency="CHF"))
    (line,) = usage(api, **NOVEMBER, group_by="agent")
    assert (line["agent_id"], line["calls"]) == (agent.public_id, 2)
    amounts = {cost["currency"]: Decimal(cost["amount"]) for cost in line["costs"]}
    assert amounts == {"CHF": Decimal(2), first.currency: Decimal("0.5")}


def test_calls_without_a_final_cost_are_told(api, placed, agent):
    placed(agent=agent, kind="web")
    (line,) = usage(api)
    assert (line["calls"], line["answered_calls"], line["costs"], line["calls_without_final_cost"]) == (1, 0, [], 1)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from"),
        ({"from": "2020-01-01", "to": "2026-11-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "0001-01-01T00:00:00Z"}, "from"),
        ({"group_by": "colour"}, "group_by"),
        ({"include_test": "1"}, "include_test"),
        ({"limit": "5"}, "limit"),
    ],
)
def test_what_does_not_fit_is_named(api, query, named):
    response = api.get("usage", query_params=query)
    assert (response.status_code, [error["param"] for error in response.json()["errors"]]) == (400, [named])


def test_usage_is_nobody_elses_and_needs_its_scope(api, stranger, make_api, tenant, placed, agent):
    placed(agent=agent, kind="web")
    assert len(usage(api)) == 1
    assert usage(stranger) == []
    assert usage(stranger, include_test="true") == []
    assert make_api(tenant, scopes=["calls:read"]).get("usage").status_code == 403


def test_it_is_one_query(api, make_used, django_assert_num_queries):
    make_used(timezone.now(), kind="web")
    make_used(timezone.now() - timedelta(days=2), kind="web")
    api.get("me")
    with django_assert_num_queries(2):  # the sums, the request log
        assert len(usage(api)) == 2
