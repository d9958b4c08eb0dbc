"""API keys in the console: shown once, no more than their maker may do, revoked with a reason; and the log of requests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tenants.models import ApiKey, AuditEvent, Membership, RequestLog, Tenant, User
from tenants.roles import ROLE_SCOPES, SCOPES
from tenants.scope import tenant_scope
from tenants.services.api_keys import NewKey, resolve_key

ADD, KEYS = reverse("admin:tenants_apikey_add"), reverse("admin:tenants_apikey_changelist")
REQUESTS = reverse("admin:tenants_requestlog_changelist")


def wanted(**fields: Any) -> dict[str, Any]:
    return {"name": "CRM sync", "livemode": "test", "allowed_cidrs": "", "last_day": "", "scopes": ["agents:read"]} | fields


def keys_of(tenant: Tenant) -> list[ApiKey]:
    with tenant_scope(tenant):
        return list(ApiKey.objects.all())


def test_a_key_is_shown_once_and_works(root_of: Callable[[Tenant], Client], tenant: Tenant) -> None:
    client = root_of(tenant)
    answer = client.post(ADD, wanted(livemode="live", allowed_cidrs="203.0.113.0/24\n", last_day="2099-01-31"))
    secret = answer.context["made"].secret
    assert answer.content.decode().count(secret) == 1
    assert "no-store" in answer["Cache-Control"]
    [key] = keys_of(tenant)
    assert (key.livemode, key.scopes, key.allowed_cidrs) == (True, ["agents:read"], ["203.0.113.0/24"])
    assert key.expires_at is not None
    assert key.expires_at.isoformat() == "2099-02-01T00:00:00+00:00"
    assert resolve_key(secret, ip="203.0.113.9").tenant_id == tenant.pk
    for url in (KEYS, reverse("admin:tenants_apikey_change", args=[key.pk])):
        page = client.get(url).content.decode()
        assert key.prefix in page
        assert secret not in page
        assert key.sha256 not in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("livemode", "both"),
        ("allowed_cidrs", "not a network"),
        ("last_day", "2001-01-01"),
        ("scopes", []),
        ("scopes", ["everything"]),
    ],
)
def test_what_does_not_fit_is_marked_and_makes_no_key(
    root_of: Callable[[Tenant], Client], tenant: Tenant, field: str, value: Any
) -> None:
    answer = root_of(tenant).post(ADD, wanted(**{field: value}))
    assert list(answer.context["form"].errors) == [field]
    assert keys_of(tenant) == []


def member_with_role(tenant: Tenant, role: str, staff: Callable[..., Client], signed_in: Callable[..., Client]) -> Client:
    client = staff(tenant, "view_apikey", "add_apikey")
    with tenant_scope(tenant):
        Membership.objects.filter(user_id=client.session["_auth_user_id"]).update(role=role)
    return client


def test_members_give_no_more_than_their_role_may(
    staff: Callable[..., Client], signed_in: Callable[..., Client], tenant: Tenant
) -> None:
    client = member_with_role(tenant, "operator", staff, signed_in)
    offered = {row["scope"] for _, rows in client.get(ADD).context["form"].groups() for row in rows}
    assert offered == ROLE_SCOPES["operator"]
    beyond = sorted(set(SCOPES) - ROLE_SCOPES["operator"])[0]
    answer = client.post(ADD, wanted(scopes=["agents:read", beyond]))
    assert list(answer.context["form"].errors) == ["scopes"]
    assert keys_of(tenant) == []
    client.post(ADD, wanted())
    assert len(keys_of(tenant)) == 1


def test_a_key_is_revoked_with_a_reason(staff: Callable[..., Client], tenant: Tenant, make_key: Callable[..., NewKey]) -> None:
    key = make_key(tenant).row
    url = reverse("admin:tenants_apikey_revoke", args=[key.pk])
    reader, mender = staff(tenant, "view_apikey"), staff(tenant, "view_apikey", "change_apikey")
    assert reader.post(url, {"reason": "leaked"}).status_code == 403
    mender.post(url, {"reason": ""})
    key.refresh_from_db()
    assert key.revoked_at is None
    mender.post(url, {"reason": "leaked"})
    key.refresh_from_db()
    assert key.revoked_at is not None
    with tenant_scope(tenant):
        assert AuditEvent.objects.get(action="api_key.revoked").reason == "leaked"
    assert "Revoke" not in mender.get(reverse("admin:tenants_apikey_change", args=[key.pk])).content.decode()


def test_keys_are_neither_edited_nor_deleted_nor_seen_by_others(
    root_of: Callable[[Tenant], Client], tenant: Tenant, other_tenant: Tenant, make_key: Callable[..., NewKey]
) -> None:
    key = make_key(tenant).row
    page, delete, revoke = (reverse(f"admin:tenants_apikey_{name}", args=[key.pk]) for name in ("change", "delete", "revoke"))
    assert root_of(tenant).post(page, {"name": "other"}).status_code == 403
    assert root_of(tenant).post(delete, {"post": "yes"}).status_code == 403
    stranger = root_of(other_tenant)
    assert (stranger.get(page).status_code, stranger.post(revoke, {"reason": "x"}).status_code) == (404, 404)
    assert key.prefix not in stranger.get(KEYS).content.decode()
    assert [row.revoked_at for row in keys_of(tenant)] == [None]


def test_a_key_is_found_by_name_and_by_what_may_be_shown_of_it(
    root_of: Callable[[Tenant], Client], tenant: Tenant, make_key: Callable[..., NewKey]
) -> None:
    one, other = make_key(tenant), make_key(tenant)
    for search in (one.row.name, one.row.prefix, one.secret, one.row.shown):
        page = root_of(tenant).get(KEYS, {"q": search}).content.decode()
        assert (one.row.prefix in page, other.row.prefix in page) == (True, False), search


@pytest.mark.parametrize(("state", "shown"), [("usable", 1), ("revoked", 1), ("expired", 0), ("unused", 1)])
def test_keys_are_filtered_by_state(
    root_of: Callable[[Tenant], Client], tenant: Tenant, make_key: Callable[..., NewKey], state: str, shown: int
) -> None:
    make_key(tenant)
    with tenant_scope(tenant):
        ApiKey.objects.filter(pk=make_key(tenant).row.pk).update(revoked_at=timezone.now())
    page = root_of(tenant).get(KEYS, {"state": state})
    with tenant_scope(tenant):
        assert len(page.context["cl"].result_list) == shown


def note(tenant: Tenant, key: NewKey | None, **fields: Any) -> RequestLog:
    with tenant_scope(tenant):
        return RequestLog.objects.create(
            **{
                "api_key": key.row if key else None,
                "key_prefix": key.row.prefix if key else "agencykey",
                "at": timezone.now(),
                "method": "GET",
                "path": "/api/v1/calls",
                "status": 200,
                "duration_ms": 12,
                "request_id": "req-1",
            }
            | fields
        )


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"class": "4"}, ["req-2"]),
        ({"method": "POST"}, ["req-2"]),
        ({"q": "req-1"}, ["req-1"]),
        ({"q": "agents"}, ["req-2"]),
        ({"key_prefix": "agencykey"}, ["req-2"]),
        ({}, ["req-2", "req-1"]),
    ],
)
def test_requests_are_found_by_what_they_were(
    root_of: Callable[[Tenant], Client],
    tenant: Tenant,
    other_tenant: Tenant,
    make_key: Callable[..., NewKey],
    params: dict[str, str],
    found: list[str],
) -> None:
    note(tenant, make_key(tenant))
    note(tenant, None, method="POST", path="/api/v1/agents", status=403, code="missing_scope", request_id="req-2")
    note(other_tenant, make_key(other_tenant), request_id="req-3")
    page = root_of(tenant).get(REQUESTS, params)
    with tenant_scope(tenant):
        assert [request.request_id for request in page.context["cl"].result_list] == found


def test_the_log_is_only_read(root_of: Callable[[Tenant], Client], tenant: Tenant, make_user: Callable[..., User]) -> None:
    row = note(tenant, None)
    client = root_of(tenant)
    assert "of the agency" in client.get(reverse("admin:tenants_requestlog_change", args=[row.pk])).content.decode()
    assert client.get(reverse("admin:tenants_requestlog_add")).status_code == 403
    assert client.post(reverse("admin:tenants_requestlog_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
