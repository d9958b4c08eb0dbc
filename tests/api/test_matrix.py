"""Walls of the API: each address first works for its owner, then for nobody else."""

import pytest

from tenants.roles import SCOPES
from tenants.scope import tenant_scope
from tests.api.matrix import BY_LINK, ROWS, digest, routes

CASES = [pytest.param(*key, id=f"{key[0]} {key[1]}") for key in ROWS]
# Their answers hold a secret that is not kept, or they keep nothing, or what they do at a carrier may be repeated without a key.
NOT_REPEATED = {
    "api_keys",
    "webhook_endpoints",
    "webhook_endpoints/{id}/rotate_secret",
    "numbers",
    "numbers/{id}/rotate_hook_secret",
    "recordings/{id}/url",
    "calls/{id}/token",
    "gates/check",
    *(f"carrier_accounts/{{id}}/{act}_number" for act in ("buy", "release", "link", "unlink")),
}
ENDS = "_00000000000000000000000000"


@pytest.fixture
def asked(tenant):
    """What the owner asks for, made in their tenant: address and body of a row."""

    def ask(method, template):
        with tenant_scope(tenant):
            parts, body = ROWS[method, template].owned()
        return template.format(**parts), body

    return ask


def send(program, method, path, body):
    return program.get(path) if method == "GET" else program.send(method.lower(), path, body)


def test_the_table_has_every_address():
    assert routes() - BY_LINK == set(ROWS)


@pytest.mark.parametrize(("method", "template"), CASES)
def test_the_owner_succeeds(method, template, asked, make_api, tenant):
    owner = make_api(tenant, livemode=ROWS[method, template].live)
    response = send(owner, method, *asked(method, template))
    assert 200 <= response.status_code < 300, response.content


@pytest.mark.parametrize(("method", "template"), [case for case in CASES if ROWS[case.values].live])
def test_a_test_key_is_told_to_be_a_live_one(method, template, asked, api, tenant):
    path, body = asked(method, template)
    with tenant_scope(tenant):
        before = digest()
    response = send(api, method, path, body)
    assert (response.status_code, response.json()["code"]) == (403, "live_key_needed")
    with tenant_scope(tenant):
        assert digest() == before


@pytest.mark.parametrize(("method", "template"), [case for case in CASES if "{" in case.values[1]])
def test_a_stranger_finds_nothing(method, template, asked, stranger, tenant):
    path, body = asked(method, template)
    with tenant_scope(tenant):
        before = digest()
    response = send(stranger, method, path, body)
    shared = template == "features/{id}"
    assert response.status_code == (200 if shared else 404), response.content
    with tenant_scope(tenant):
        assert digest() == before


@pytest.mark.parametrize(("method", "template"), [case for case in CASES if ROWS[case.values].scope])
def test_a_key_without_the_scope_is_refused(method, template, asked, make_api, tenant):
    path, body = asked(method, template)
    scope = ROWS[method, template].scope
    poor = make_api(tenant, scopes=[each for each in SCOPES if each != scope])
    with tenant_scope(tenant):
        before = digest()
    response = send(poor, method, path, body)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert scope in response.json()["detail"]
    with tenant_scope(tenant):
        assert digest() == before


@pytest.mark.parametrize("template", [path for method, path in ROWS if method == "POST" and path not in NOT_REPEATED])
def test_a_post_sent_again_with_its_key_has_one_effect(template, asked, api, tenant):
    path, body = asked("POST", template)
    options = {"headers": {"Idempotency-Key": "again"}}
    first = api.post(path, body, **options)
    with tenant_scope(tenant):
        before = digest()
    again = api.post(path, body, **options)
    assert (again["Idempotent-Replayed"], again.status_code) == ("true", first.status_code)
    assert again.content == first.content
    with tenant_scope(tenant):
        assert digest() == before


@pytest.mark.parametrize(("method", "template"), CASES)
def test_nobody_is_refused(method, template, asked, api):
    response = send(type(api)(""), method, *asked(method, template))
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize(("method", "template", "name"), [(*key, name) for key, row in ROWS.items() for name in row.foreign])
def test_a_stranger_s_row_in_a_body_is_as_one_that_is_missing(method, template, name, asked, stranger, other_tenant):
    _, body = asked(method, template)
    with tenant_scope(other_tenant):
        before, (parts, own) = digest(), ROWS[method, template].owned()
        before = digest()
    foreign = send(stranger, method, template.format(**parts), {**own, name: body[name]})
    missing = send(stranger, method, template.format(**parts), {**own, name: body[name].partition("_")[0] + ENDS})
    assert foreign.status_code == missing.status_code == 400
    told = [(error["param"], error["code"]) for error in foreign.json()["errors"]]
    assert told == [(error["param"], error["code"]) for error in missing.json()["errors"]] == [(name, "does_not_exist")]
    with tenant_scope(other_tenant):
        assert digest() == before
