"""Transfer targets, as staff handle them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import TransferTarget
from agents.services import save_draft, start_draft
from agents.testing import TEST_SETTINGS
from calls.services.targets import create_target
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope
from tests.admin.conftest import House

PHONE = "+12025550177"
NEW = {
    "name": "Front desk", "kind": "person", "when": "Bills", "phone": "+1 (202) 555-0177", "digits": "", "mode": "warm",
    "ring_s": "25", "priority": "100", "timezone": "", "enabled": "on", "hours-rows": "2",
    "hours-0-days": ["1", "2"], "hours-0-starts_at": "09:00", "hours-0-ends_at": "17:30",
}  # fmt: skip


def url(name: str, *args: object) -> str:
    return reverse(f"admin:agents_transfertarget_{name}", args=args)


def text(response: Any) -> str:
    page: str = response.content.decode()
    return page


@pytest.fixture
def client(root_of: Callable[[Tenant], Client], house: House) -> Client:
    with tenant_scope(house.tenant):
        TenantLimits.objects.update(allowed_countries=["US"])
    return root_of(house.tenant)


@pytest.fixture
def target(client: Client, house: House) -> TransferTarget:
    with tenant_scope(house.tenant):
        return create_target(name="Front desk", phone=PHONE)


def test_an_empty_list_says_what_to_do(client: Client) -> None:
    page = text(client.get(url("changelist")))
    assert "No transfer targets yet" in page
    assert "under Handing over" in page


def test_a_target_is_added_and_changed_through_its_service(client: Client, house: House) -> None:
    answer = client.post(url("add"), NEW)
    assert answer.status_code == 302, answer.context["errors"]
    row = TransferTarget.all_objects.get()
    assert (row.tenant, row.phone, row.hours[0]["weekdays"]) == (house.tenant, PHONE, [1, 2])
    assert client.post(url("change", row.pk), {**NEW, "mode": "blind"}).status_code == 302
    row.refresh_from_db()
    assert row.mode == "blind"
    with tenant_scope(house.tenant):
        assert AuditEvent.objects.get(action="transfer_target.changed").fields == ["mode"]
    assert "Front desk" in text(client.get(url("changelist")))


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"phone": "+19005550123"}, "premium"), ({"phone": "911"}, "emergency"), ({"hours-0-days": []}, "choose its days")],
)
def test_what_is_refused_is_said_at_its_field(client: Client, fields: dict[str, Any], says: str) -> None:
    answer = client.post(url("add"), {**NEW, **fields})
    assert answer.status_code == 200
    assert says in text(answer)
    assert not TransferTarget.all_objects.exists()


def test_the_page_tells_which_agents_use_it_and_it_stays(client: Client, house: House, target: TransferTarget) -> None:
    assert "None. Choose it in the settings" in text(client.get(url("change", target.pk)))
    with tenant_scope(house.tenant):
        start_draft(agent=house.agent)
        chosen = {**TEST_SETTINGS, "transfer": {"targets": [target.public_id]}}
        save_draft(agent=house.agent, settings=chosen, tools={})
    assert reverse("admin:agents_agent_change", args=[house.agent.pk]) in text(client.get(url("change", target.pk)))
    refused = client.post(url("delete", target.pk), {"post": "yes"}, follow=True)
    assert "Take it out there first" in text(refused)
    assert TransferTarget.all_objects.exists()


def test_a_target_nobody_uses_is_deleted(client: Client, target: TransferTarget) -> None:
    assert client.post(url("delete", target.pk), {"post": "yes"}).status_code == 302
    assert not TransferTarget.all_objects.exists()


def test_an_agents_settings_offer_the_tenants_targets(
    client: Client, house: House, target: TransferTarget, foreign: House
) -> None:
    with tenant_scope(foreign.tenant):
        TenantLimits.objects.update(allowed_countries=["US"])
        create_target(name="Somebody else", phone="+12025550178")
    page = text(client.get(reverse("admin:agents_agent_change", args=[house.agent.pk])))
    assert f'value="{target.public_id}"' in page
    assert "Front desk" in page
    assert "Somebody else" not in page
