"""How many requests pass, and what passes while nobody can count."""

import pytest
from django.test import override_settings

from tenants.api import throttling
from tenants.api.throttling import count_request
from tenants.models import ApiKey, TenantLimits
from tenants.scope import tenant_scope
from tenants.services.api_keys import resolve_key
from tests.api.matrix import ROWS
from voiceplatform.lib.api.problems import Refusal


@pytest.fixture(autouse=True)
def _rested(monkeypatch):
    monkeypatch.setattr(throttling._Rest, "until", 0.0)
    monkeypatch.setattr(throttling, "time", lambda: 1_000_030.0)


def test_a_key_has_so_many_requests_a_minute(make_api, tenant):
    api = make_api(tenant)
    with tenant_scope(tenant):
        ApiKey.objects.update(requests_per_minute=3)
    left = [api.get("me")["RateLimit-Remaining"] for _ in range(3)]
    refused = api.get("me")
    assert left == ["2", "1", "0"]
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert refused["Retry-After"] == refused["RateLimit-Reset"]
    assert 0 < int(refused["Retry-After"]) <= 61


def test_the_keys_of_a_tenant_share_a_limit(make_api, tenant):
    one, two = make_api(tenant), make_api(tenant)
    with tenant_scope(tenant):
        TenantLimits.objects.update(api_requests_per_minute=3)
    assert [program.get("me").status_code for program in (one, two, one, two)] == [200, 200, 200, 429]


def test_the_next_minute_begins_anew(make_api, tenant, monkeypatch):
    api = make_api(tenant)
    with tenant_scope(tenant):
        ApiKey.objects.update(requests_per_minute=1)
    assert [api.get("me").status_code for _ in range(2)] == [200, 429]
    monkeypatch.setattr(throttling, "time", lambda: 1_000_090.0)
    assert api.get("me").status_code == 200


@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_without_a_counter_reads_pass_and_costs_do_not(make_key, make_api, tenant):
    made = make_key(tenant)
    assert type(make_api(tenant))(made.secret).get("me").status_code == 200
    caller = resolve_key(made.secret, ip=None)
    assert count_request(caller, costs_money=False) is None
    with pytest.raises(Refusal) as refused:
        count_request(caller, costs_money=True)
    assert refused.value.status_code == 503
    assert refused.value.headers["Retry-After"]


COSTLY = [
    ("POST", path) for path in ("calls", "agents/{id}/chat", *(f"calls/{{id}}/{of}" for of in ("messages", "actions", "token")))
]


@pytest.mark.parametrize(("method", "template"), COSTLY)
def test_what_costs_money_is_refused_while_nobody_counts(method, template, api, tenant):
    with tenant_scope(tenant):
        parts, body = ROWS[method, template].owned()
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        refused = api.send(method.lower(), template.format(**parts), body)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
