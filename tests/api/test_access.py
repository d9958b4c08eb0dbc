"""Keys, scopes and agencies, as a program meets them."""

from datetime import timedelta
from time import monotonic

import pytest
import time_machine
from django.test import Client, RequestFactory
from django.utils import timezone

from tenants.api.authentication import CALLER_ATTRIBUTE
from tenants.api.views import ApiKeyViewSet
from tenants.models import ApiKey, AuditEvent, RequestLog
from tenants.roles import SCOPES
from tenants.scope import tenant_scope
from tenants.services import api_keys
from tenants.services.api_keys import forget_keys, resolve_key, revoke_key


def problem_of(response):
    assert response["Content-Type"] == "application/problem+json"
    assert response["X-Request-Id"] == response.json()["request_id"]
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize(
    "header", ["", "Basic abc", "Bearer", "Bearer vp_test", "Bearer vp_test_abc", "Bearer vp_test_aaaaaaaaaaaa_" + "b" * 43]
)
def test_without_a_usable_key_nothing_is_told(db, header):
    response = Client(headers={"Authorization": header} if header else {}).get("/api/v1/me")
    status, code = problem_of(response)
    assert (status, code) in [(401, "not_authenticated"), (401, "authentication_failed")]
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


def test_me_tells_whose_key_it_is(make_api, tenant):
    answer = make_api(tenant, scopes=["calls:read"], name="CRM").get("me").json()
    assert (answer["tenant"], answer["api_key_name"], answer["scopes"]) == (tenant.public_id, "CRM", ["calls:read"])
    assert answer["livemode"] is False


def test_a_missing_scope_is_named(make_api, tenant):
    response = make_api(tenant, scopes=["calls:read"]).get("api_keys")
    assert problem_of(response) == (403, "permission_denied")
    assert "api_keys:read" in response.json()["detail"]


def test_a_key_is_made_used_and_revoked(api, make_api, tenant):
    made = api.post("api_keys", {"name": "Reports", "scopes": ["calls:read"]})
    assert made.status_code == 201
    secret, key_id = made.json()["secret"], made.json()["id"]
    program = type(api)(secret)
    assert program.get("me").json()["api_key"] == key_id
    listed = api.get("api_keys").json()["data"]
    assert all("secret" not in key for key in listed)
    assert secret not in str(listed)
    assert api.post(f"api_keys/{key_id}/revoke").json()["revoked_at"]
    assert problem_of(program.get("me")) == (401, "authentication_failed")


def test_a_key_revoked_by_another_process_is_refused_within_seconds(api, tenant, monkeypatch):
    assert api.get("me").status_code == 200
    with tenant_scope(tenant):
        ApiKey.objects.update(revoked_at=timezone.now())
    later = monotonic() + 5
    monkeypatch.setattr(api_keys, "monotonic", lambda: later)
    assert problem_of(api.get("me")) == (401, "authentication_failed")


def test_a_live_key_makes_live_keys(make_api, tenant):
    live = make_api(tenant, livemode=True).post("api_keys", {"name": "Live", "scopes": ["calls:read"], "livemode": True})
    assert (live.status_code, live.json()["livemode"]) == (201, True)


def test_an_action_that_names_no_scope_is_open_to_nobody(api):
    class Careless(ApiKeyViewSet):
        scopes = {"list": "api_keys:read"}

    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {api.secret}"})
    setattr(request, CALLER_ATTRIBUTE, resolve_key(api.secret, ip=None))
    answer = Careless.as_view({"get": "retrieve"})(request, id="key_x").render()
    assert (answer.status_code, answer.data["code"], answer.data["detail"]) == (
        403,
        "permission_denied",
        "No API key may do this.",
    )


def test_a_key_gives_no_more_than_it_has(make_api, tenant):
    some = make_api(tenant, scopes=["api_keys:write", "calls:read"])
    refused = some.post("api_keys", {"name": "More", "scopes": ["calls:write"]})
    assert problem_of(refused) == (400, "invalid_scopes")
    assert refused.json()["errors"][0]["param"] == "scopes"
    live = some.post("api_keys", {"name": "Live", "scopes": ["calls:read"], "livemode": True})
    assert problem_of(live) == (403, "live_key_needed")


def test_keys_of_others_do_not_exist(api, stranger):
    key_id = api.post("api_keys", {"name": "Mine", "scopes": ["calls:read"]}).json()["id"]
    assert problem_of(stranger.get(f"api_keys/{key_id}")) == (404, "not_found")
    assert problem_of(stranger.post(f"api_keys/{key_id}/revoke")) == (404, "not_found")
    assert api.get(f"api_keys/{key_id}").json()["revoked_at"] is None


def test_an_agency_acts_for_its_customer(make_tenant, make_api):
    agency = make_tenant()
    customer, other = make_tenant(agency=agency), make_tenant()
    api = make_api(agency, scopes=tuple(SCOPES))
    acting = {"headers": {"Vp-Tenant": customer.public_id}}
    assert api.get("me", **acting).json()["tenant"] == customer.public_id
    made = api.post("api_keys", {"name": "For the customer", "scopes": ["calls:read"]}, **acting).json()
    assert type(api)(made["secret"]).get("me").json()["tenant"] == customer.public_id
    assert made["id"] not in str(api.get("api_keys").json())
    assert problem_of(api.get("me", headers={"Vp-Tenant": other.public_id})) == (403, "tenant_not_found")


def test_changes_name_the_key_that_made_them(api, tenant):
    api.post("api_keys", {"name": "Audited", "scopes": ["calls:read"]})
    with tenant_scope(tenant):
        event = AuditEvent.objects.filter(action="api_key.created").latest("at")
    assert (event.actor_id, str(event.api_key_id) != "None") == (None, True)


def test_requests_are_logged_without_secrets(api, tenant):
    api.get("api_keys?limit=1")
    api.get("api_keys/key_nonsense?token=canary")
    with tenant_scope(tenant):
        newest, oldest = RequestLog.objects.values()
    assert (newest["status"], newest["code"], oldest["status"]) == (404, "not_found", 200)
    assert newest["path"] == "/api/v1/api_keys/key_nonsense"
    assert "canary" not in str(newest)
    assert api.secret.split("_", 3)[3] not in str(newest)


def test_a_browser_session_is_no_key(client, make_user, tenant):
    client.force_login(make_user(is_staff=True, is_superuser=True))
    assert problem_of(client.get("/api/v1/me")) == (401, "not_authenticated")


def test_an_expired_key_says_when(make_api, tenant):
    api = make_api(tenant, expires_at=timezone.now() + timedelta(minutes=1))
    assert api.get("me").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        forget_keys()
        assert "expired at" in api.get("me").json()["detail"]


def test_a_revoked_key_works_nowhere_after_seconds(make_key, make_api, tenant, monkeypatch):
    made = make_key(tenant)
    api = type(make_api(tenant))(made.secret)
    assert api.get("me").status_code == 200
    with tenant_scope(tenant):
        revoke_key(key=made.row)
    assert api.get("me").status_code == 401
