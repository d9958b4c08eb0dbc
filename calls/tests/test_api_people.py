"""Leads, consents, suppressions, windows and gates through the API: owner, stranger, and a key without the scope."""

from collections.abc import Callable
from datetime import time, timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from django.utils import timezone

from calls.api import people as _people  # noqa: F401 - registers what refusals mean
from calls.errors import GateRefusedError
from calls.models import CallingWindow, Consent, Lead, Suppression
from calls.services.gates import GATES
from calls.services.people import create_lead, create_window, suppress
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope
from voiceplatform.lib.api.handling import ProblemHandler
from voiceplatform.lib.api.problems import CODES

PHONE, OTHER = "+12125550123", "+4930901820"
WINDOW = {"country": "DE", "weekdays": [1, 2], "starts_at": "09:00:00", "ends_at": "18:00:00"}
CONSENT = {"kind": "calls", "basis": "Ticked a box", "given_at": "2026-11-01T09:00:00Z"}


@pytest.fixture
def lead(tenant: Tenant) -> Lead:
    with tenant_scope(tenant):
        return create_lead(lead=Lead(phone=PHONE, name="Ada", metadata={"crm": "1", "b": "x"}))


@pytest.fixture
def suppression(tenant: Tenant) -> Suppression:
    with tenant_scope(tenant):
        return suppress(phone=PHONE, source="agent", reason="asked").row


@pytest.fixture
def window(tenant: Tenant) -> CallingWindow:
    with tenant_scope(tenant):
        return create_window(window=CallingWindow(weekdays=[1], starts_at=time(9), ends_at=time(12)))


def params(response: Any) -> set[str]:
    return {error["param"] for error in response.json()["errors"]}


def test_a_lead_is_created_read_and_changed(api: Any, tenant: Tenant) -> None:
    made = api.post("leads", {"phone": "+1 (212) 555-0123", "name": "Ada", "metadata": {"z": "1", "a": "2"}})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["phone"], body["email"], body["metadata"]) == (PHONE, "", {"z": "1", "a": "2"})
    read = api.get(f"leads/{body['id']}")
    assert (read.json(), read["ETag"]) == (body, made["ETag"])
    changed = api.patch(f"leads/{body['id']}", {"timezone": "America/Denver"}, headers={"If-Match": read["ETag"]})
    assert changed.json() == {**body, "timezone": "America/Denver"}
    assert changed["ETag"] == api.get(f"leads/{body['id']}")["ETag"] != read["ETag"]
    with tenant_scope(tenant):
        assert list(AuditEvent.objects.filter(action="lead.changed").values_list("fields", flat=True)) == [["timezone"]]


def test_a_lead_somebody_else_has_changed_stays(api: Any, lead: Lead) -> None:
    read = api.get(f"leads/{lead.public_id}")
    api.patch(f"leads/{lead.public_id}", {"name": "Bea"})
    late = api.patch(f"leads/{lead.public_id}", {"name": "Cleo"}, headers={"If-Match": read["ETag"]})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert api.get(f"leads/{lead.public_id}").json()["name"] == "Bea"


def test_a_second_lead_with_the_number_is_refused(api: Any, lead: Lead, tenant: Tenant) -> None:
    twice = api.post("leads", {"phone": "+1 212 555 0123"})
    assert (twice.status_code, twice.json()["code"], params(twice)) == (409, "lead_exists", {"phone"})
    other = api.post("leads", {"phone": OTHER}).json()
    moved = api.patch(f"leads/{other['id']}", {"phone": PHONE})
    assert (moved.status_code, moved.json()["code"]) == (409, "lead_exists")
    with tenant_scope(tenant):
        assert set(Lead.objects.values_list("phone", flat=True)) == {PHONE, OTHER}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone"),
        ({"phone": "2125550123"}, "phone"),
        ({"phone": 12}, "phone"),
        ({"phone": PHONE, "timezone": "Mars"}, "timezone"),
        ({"phone": PHONE, "language": "?"}, "language"),
        ({"phone": PHONE, "metadata": {"a": {"b": "c"}}}, "metadata.a"),
        ({"phone": PHONE, "colour": "red"}, "colour"),
        ({"phone": PHONE, "created_at": "2026-01-01T00:00:00Z"}, "created_at"),
    ],
)
def test_a_lead_that_does_not_fit_is_refused_by_field(api: Any, tenant: Tenant, body: dict[str, Any], field: str) -> None:
    response = api.post("leads", body)
    assert response.status_code == 400
    assert params(response) == {field}
    with tenant_scope(tenant):
        assert not Lead.objects.exists()


def test_leads_are_found_by_number_and_metadata(api: Any, lead: Lead) -> None:
    api.post("leads", {"phone": OTHER, "metadata": {"crm": "2"}})

    def found(query: str) -> list[str]:
        return [row["phone"] for row in api.get(f"leads{query}").json()["data"]]

    assert found("") == [OTHER, PHONE]
    assert found("?phone=%2B1%20212%20555-0123") == found("?metadata[crm]=1") == [PHONE]
    assert found("?metadata[crm]=3") == []
    wrong = api.get("leads?phone=+12125550123")
    assert (wrong.status_code, params(wrong)) == (400, {"phone"})
    assert "%2B" in wrong.json()["detail"]
    assert params(api.get("leads?colour=red")) == {"colour"}


def test_consents_are_recorded_and_withdrawn(api: Any, lead: Lead, tenant: Tenant) -> None:
    url = f"leads/{lead.public_id}/consents"
    made = api.post(url, CONSENT, headers={"Idempotency-Key": "1"})
    again = api.post(url, CONSENT, headers={"Idempotency-Key": "1"})
    assert (made.status_code, again.json()) == (201, made.json())
    assert api.get(url).json()["data"] == [made.json()]
    assert made.json()["lead"] == lead.public_id
    gone = api.post(f"{url}/withdraw", {"kind": "calls", "reason": "wrote"}).json()["data"]
    assert [row["withdrawn_at"] is not None for row in gone] == [True]
    assert api.post(f"{url}/withdraw", {"kind": "calls"}).json()["data"] == []
    assert params(api.post(url, {**CONSENT, "kind": "all", "basis": ""})) == {"kind", "basis"}
    assert params(api.post(url, {**CONSENT, "given_at": "2099-01-01T00:00:00Z"})) == {"given_at"}
    with tenant_scope(tenant):
        assert Consent.objects.count() == 1


def test_a_number_is_suppressed_and_lifted(api: Any, tenant: Tenant) -> None:
    made = api.post("suppressions", {"phone": "+1 212 555 0123", "reason": "asked"})
    again = api.post("suppressions", {"phone": PHONE})
    assert [made.status_code, again.status_code] == [201, 200]
    assert made.json() == again.json()
    url = f"suppressions/{made.json()['id']}"
    assert params(api.post(f"{url}/lift", {})) == {"reason"}
    assert api.get(url).json()["active"] is True
    lifted = api.post(f"{url}/lift", {"reason": "wants calls"}).json()
    assert (lifted["active"], lifted["lift_reason"]) == (False, "wants calls")
    assert api.post(f"{url}/lift", {"reason": "again"}).json() == lifted
    with tenant_scope(tenant):
        event = AuditEvent.objects.get(action="suppression.lifted")
        assert event.api_key_id == Suppression.objects.get().lifted_by_key is not None


def test_suppressions_are_found_by_number_and_state(api: Any, tenant: Tenant, suppression: Suppression) -> None:
    with tenant_scope(tenant):
        past = timezone.now() - timedelta(days=1)
        Suppression.objects.create(phone=OTHER, created_at=past, expires_at=past + timedelta(hours=1))

    def found(query: str) -> list[str]:
        return [row["phone"] for row in api.get(f"suppressions{query}").json()["data"]]

    assert found("") == [OTHER, PHONE]
    assert (found("?active=true"), found("?active=false")) == ([PHONE], [OTHER])
    assert found("?phone=%2B4930901820&active=true") == []
    assert params(api.get("suppressions?active=maybe")) == {"active"}


def test_many_numbers_have_a_result_each(api: Any, tenant: Tenant, suppression: Suppression) -> None:
    items = [{"phone": PHONE}, {"phone": "12"}, {"phone": OTHER}, {"phone": OTHER, "colour": "red"}, {}, {"phone": OTHER}]
    items.append({"phone": OTHER, "expires_at": "2020-01-01T00:00:00Z"})
    response = api.post("suppressions/bulk", {"suppressions": items})
    assert response.status_code == 200, response.content
    data = response.json()["data"]
    expected = ["unchanged", "refused", "created", "refused", "refused", "unchanged", "refused"]
    assert [(row["index"], row["status"]) for row in data] == list(enumerate(expected))
    assert data[0] == {"index": 0, "status": "unchanged", "id": suppression.public_id, "phone": PHONE, "error": None}
    assert [data[index]["error"].partition(":")[0] for index in (1, 3, 4, 6)] == ["phone", "colour", "phone", "expires_at"]
    with tenant_scope(tenant):
        assert Suppression.objects.count() == 2


@pytest.mark.parametrize("items", [[], [{"phone": PHONE}] * 1001, ["+12125550123"], "x", None])
def test_a_list_of_numbers_has_1_to_1000_objects(api: Any, tenant: Tenant, items: Any) -> None:
    response = api.post("suppressions/bulk", {"suppressions": items})
    assert response.status_code == 400
    assert {param.partition(".")[0] for param in params(response)} == {"suppressions"}
    with tenant_scope(tenant):
        assert not Suppression.objects.exists()


def test_windows_are_created_changed_and_deleted(api: Any, tenant: Tenant) -> None:
    made = api.post("calling_windows", WINDOW)
    assert made.status_code == 201, made.content
    assert made.json() == {**WINDOW, "on_holidays": False, "id": ANY, "created_at": ANY}
    url = f"calling_windows/{made.json()['id']}"
    stale = {"If-Match": made["ETag"]}
    assert api.patch(url, {"ends_at": "17:00"}, headers=stale).json()["ends_at"] == "17:00:00"
    assert api.patch(url, {"ends_at": "16:00"}, headers=stale).status_code == 412
    assert api.delete(url, headers=stale).status_code == 412
    assert params(api.patch(url, {"ends_at": "08:00"})) == {"ends_at"}
    assert params(api.post("calling_windows", {**WINDOW, "country": "UK", "weekdays": [8]})) == {"country", "weekdays.0"}
    assert api.get("calling_windows").json()["data"][0]["ends_at"] == "17:00:00"
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404


def test_the_gates_say_whether_a_call_would_pass(api: Any, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        TenantLimits.objects.update(allowed_countries=["US"])
        create_window(window=CallingWindow(starts_at=time(0), ends_at=time(23, 59, 59, 999_999), on_holidays=True))
    passes = api.post("gates/check", {"to": "+1 212 555 0123"})
    assert passes.status_code == 200, passes.content
    assert passes.json() == {"allowed": True, "to": PHONE, "code": None, "detail": None, "retry_at": None}
    abroad = api.post("gates/check", {"to": OTHER}).json()
    assert (abroad["allowed"], abroad["code"]) == (False, "country_not_allowed")
    assert "Germany" in abroad["detail"]
    assert api.post("gates/check", {"to": PHONE, "requires_consent": True}).json()["code"] == "no_consent"
    assert api.post("gates/check", {"to": "911"}).json()["code"] == "number_type_not_allowed"
    assert params(api.post("gates/check", {})) == {"to"}
    assert params(api.post("gates/check", {"to": PHONE, "override_reason": "x"})) == {"override_reason"}


def requests(lead: Lead, suppression: Suppression, window: CallingWindow) -> list[tuple[str, str, Any]]:
    """Method, address and a good body of everything that names a row."""
    return [
        ("get", f"leads/{lead.public_id}", None),
        ("patch", f"leads/{lead.public_id}", {"name": "Eve"}),
        ("get", f"leads/{lead.public_id}/consents", None),
        ("post", f"leads/{lead.public_id}/consents", CONSENT),
        ("post", f"leads/{lead.public_id}/consents/withdraw", {"kind": "calls"}),
        ("get", f"suppressions/{suppression.public_id}", None),
        ("post", f"suppressions/{suppression.public_id}/lift", {"reason": "x"}),
        ("get", f"calling_windows/{window.public_id}", None),
        ("patch", f"calling_windows/{window.public_id}", {"ends_at": "20:00"}),
        ("delete", f"calling_windows/{window.public_id}", None),
    ]


def send(client: Any, method: str, path: str, body: Any) -> Any:
    return getattr(client, method)(path) if body is None else getattr(client, method)(path, body)


def test_another_tenants_rows_are_not_there(
    stranger: Any, api: Any, lead: Lead, suppression: Suppression, window: CallingWindow, tenant: Tenant
) -> None:
    rows = requests(lead, suppression, window)
    assert {send(stranger, *row).status_code for row in rows} == {404}
    for path in ("leads", "suppressions", "calling_windows", f"leads?phone=%2B{PHONE[1:]}"):
        assert stranger.get(path).json()["data"] == []
    with tenant_scope(tenant):
        assert not Consent.objects.exists()
        assert Lead.objects.get().name == "Ada"
        assert Suppression.objects.get().lifted_at is None
        assert CallingWindow.objects.get().ends_at == time(12)
    assert [send(api, *row).status_code // 100 for row in rows] == [2] * len(rows)


def test_each_operation_needs_its_scope(
    make_api: Callable[..., Any], tenant: Tenant, lead: Lead, suppression: Suppression, window: CallingWindow
) -> None:
    rows = requests(lead, suppression, window)
    lists = [("get", path, None) for path in ("leads", "suppressions", "calling_windows")]
    creates = [
        ("post", "leads", {"phone": OTHER}),
        ("post", "suppressions", {"phone": OTHER}),
        ("post", "suppressions/bulk", {"suppressions": [{"phone": OTHER}]}),
        ("post", "calling_windows", WINDOW),
    ]
    reader, nobody = make_api(tenant, scopes=["leads:read"]), make_api(tenant, scopes=["calls:read"])
    for row in [*rows, *lists, *creates]:
        assert send(reader, *row).status_code == (200 if row[0] == "get" else 403), row
        assert send(nobody, *row).status_code == 403, row
    assert reader.post("gates/check", {"to": PHONE}).status_code == 200
    assert nobody.post("gates/check", {"to": PHONE}).status_code == 403
    with tenant_scope(tenant):
        assert (Lead.objects.count(), Suppression.objects.count(), CallingWindow.objects.count()) == (1, 1, 1)


def test_a_key_for_creating_repeats_the_answer(api: Any, tenant: Tenant) -> None:
    key = {"Idempotency-Key": "k-1"}
    made, again = (api.post("leads", {"phone": PHONE}, headers=key) for _ in range(2))
    assert (made.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 201, "true")
    assert made.json() == again.json()
    assert api.post("leads", {"phone": OTHER}, headers=key).json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("code", GATES)
def test_a_gates_refusal_has_a_documented_code_of_its_own(code: str) -> None:
    opens_at = timezone.now() + timedelta(hours=1)
    refusal: Any = ProblemHandler(None, {}).convert_known_exceptions(GateRefusedError(code, "No.", opens_at))
    if code == "invalid_number":
        assert (refusal.status_code, refusal.get_codes(), refusal.params) == (400, code, {"to": "No."})
    else:
        assert (refusal.status_code, refusal.get_codes(), refusal.params) == (403, code, {})
        assert 3590 < int(refusal.headers["Retry-After"]) <= 3600
    assert CODES[code] == GATES[code]
