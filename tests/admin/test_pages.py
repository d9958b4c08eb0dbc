"""Every page of the console answers, to those who may see it."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calls.models import ProviderEvent
from calls.services.inbound import Ringing, receive_call
from tenants.models import OutboxDelivery, Tenant, User
from tenants.scope import tenant_scope
from tests.admin.conftest import House

LISTS = {
    "calls_call": "view_call",
    "calls_message": "view_message",
    "calls_recording": "view_recording",
    "calls_workerhost": "view_workerhost",
    "calls_providerevent": "view_providerevent",
    "calls_lead": "view_lead",
    "calls_suppression": "view_suppression",
    "calls_callingwindow": "view_callingwindow",
    "calls_siptrunk": "view_siptrunk",
    "calls_phonenumber": "view_phonenumber",
    "calls_carrieraccount": "view_carrieraccount",
    "agents_agent": "view_agent",
    "agents_transfertarget": "view_transfertarget",
    "tenants_tenant": "view_tenant",
    "tenants_user": "view_user",
    "tenants_usagerecord": "view_usagerecord",
    "tenants_defaultrate": "view_defaultrate",
    "tenants_tenantrate": "view_tenantrate",
    "tenants_plan": "view_plan",
    "tenants_apikey": "view_apikey",
    "tenants_requestlog": "view_requestlog",
    "tenants_auditevent": "view_auditevent",
    "tenants_job": "view_job",
    "tenants_outboxdelivery": "view_outboxdelivery",
    "integrations_webhookendpoint": "view_webhookendpoint",
    "integrations_webhookdelivery": "view_webhookdelivery",
    "analytics_dailyrollup": "view_dailyrollup",
}
ROW_PAGES = [
    *[f"calls_call_{name}" for name in ("change", "turns", "waterfall", "live", "recording_link")],
    *[f"agents_agent_{name}" for name in ("change", "tools", "versions", "preview", "simulate")],
    *[f"tenants_tenant_{name}" for name in ("change", "features", "members", "agents", "usage")],
    "calls_message_change",
]


def row_url(page: str, house: House) -> str:
    rows = {"calls_call": house.call, "agents_agent": house.agent, "tenants_tenant": house.tenant, "calls_message": house.message}
    return reverse(f"admin:{page}", args=[rows["_".join(page.split("_")[:2])].pk])


@pytest.mark.parametrize("name", LISTS)
def test_lists_answer_with_and_without_rows(root: Client, make_house: Callable[..., House], name: str) -> None:
    url = reverse(f"admin:{name}_changelist")
    assert root.get(url).status_code == 200
    make_house()
    assert root.get(url).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_a_list_needs_its_permission(staff: Callable[..., Client], house: House, name: str) -> None:
    url = reverse(f"admin:{name}_changelist")
    assert staff(house.tenant).get(url).status_code == 403
    assert staff(house.tenant, LISTS[name]).get(url).status_code == 200


@pytest.mark.parametrize("page", ROW_PAGES)
def test_pages_of_a_row_answer_in_one_tenant_and_in_all(
    root: Client, root_of: Callable[[Tenant], Client], house: House, page: str
) -> None:
    assert root.get(row_url(page, house)).status_code == 200
    assert root_of(house.tenant).get(row_url(page, house)).status_code == 200


@pytest.mark.parametrize("page", ROW_PAGES)
def test_pages_of_a_row_need_permission(staff: Callable[..., Client], house: House, page: str) -> None:
    assert staff(house.tenant).get(row_url(page, house)).status_code == 403


@pytest.mark.parametrize("page", ROW_PAGES)
def test_another_tenants_row_is_not_there(
    staff: Callable[..., Client], root_of: Callable[[Tenant], Client], house: House, foreign: House, page: str
) -> None:
    everything = ("view_call", "view_agent", "view_tenant", "view_message", "view_recording", "add_call")
    assert staff(house.tenant, *everything).get(row_url(page, foreign)).status_code == 404
    assert root_of(house.tenant).get(row_url(page, foreign)).status_code == 404


@pytest.mark.parametrize("page", ["calls_call_change", "agents_agent_change", "tenants_tenant_change", "calls_message_change"])
@pytest.mark.parametrize("key", ["nonsense", "01a20bc1-ba2a-7466-9e8f-4208e7f3e376", "_5F"])
def test_a_row_that_is_not_there_is_not_found(root: Client, page: str, key: str) -> None:
    assert root.get(reverse(f"admin:{page}", args=[key])).status_code == 404


def test_the_console_asks_strangers_to_sign_in(client: Client, house: House) -> None:
    for page in ROW_PAGES:
        response = client.get(row_url(page, house))
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("admin:login"))
    assert "Staff console" in client.get(reverse("admin:login")).content.decode()


def test_what_a_provider_told_is_seen_where_its_call_is(
    root: Client, root_of: Callable[[Tenant], Client], house: House, foreign: House
) -> None:
    now, url = timezone.now(), reverse("admin:calls_providerevent_changelist")
    for number, call in enumerate([house.call, foreign.call, None]):
        given = {"event_id": f"EV_{number}", "kind": "room_finished", "room": f"in_+1202555000{number}", "at": now}
        event = ProviderEvent.objects.create(provider="livekit", received_at=now, call_id=call.pk if call else None, **given)
        page = reverse("admin:calls_providerevent_change", args=[event.pk])
        assert root.get(page).status_code == 200
        assert root_of(house.tenant).get(page).status_code == (200 if call is house.call else 404)
    shown = [
        [f"in_+1202555000{number}" in client.get(url).content.decode() for number in range(3)]
        for client in (root, root_of(house.tenant))
    ]
    assert shown == [[True, True, True], [True, False, False]]


def test_calls_to_numbers_nobody_has_are_seen_by_those_who_see_everybody(
    root: Client, root_of: Callable[[Tenant], Client], house: House
) -> None:
    rang = {"caller": "+12025550116", "called": "+12025559999", "carrier_id": "SCL_1", "identity": "sip_1"}
    receive_call(number_id=None, ringing=Ringing(room="in_+12025550116_x", **rang))
    event, url = ProviderEvent.objects.get(), reverse("admin:calls_providerevent_changelist")
    page = reverse("admin:calls_providerevent_change", args=[event.pk])
    for address in (url, page, f"{url}?stray=only"):
        shown = root.get(address).content.decode()
        assert "+*********16 called +12025559999. Nobody has this number: add it under Numbers" in shown
        assert "2025550116" not in shown
    assert "turned away" in root.get(url).content.decode()
    assert "9999" not in root_of(house.tenant).get(url).content.decode()
    ProviderEvent.objects.update(kind="room_finished")
    assert "in_+12025550116_x" in root.get(url).content.decode()
    assert "in_+12025550116_x" not in root.get(f"{url}?stray=only").content.decode()


def test_records_cannot_be_added_changed_or_deleted(root_of: Callable[[Tenant], Client], house: House) -> None:
    client = root_of(house.tenant)
    for name in ("calls_call", "calls_message", "calls_workerhost", "tenants_usagerecord", "tenants_auditevent", "tenants_job"):
        assert client.get(reverse(f"admin:{name}_add")).status_code in (403, 404)
    assert client.post(reverse("admin:calls_call_delete", args=[house.call.pk]), {"post": "yes"}).status_code == 403
    assert client.post(reverse("admin:calls_message_delete", args=[house.message.pk]), {"post": "yes"}).status_code == 403
    assert client.post(reverse("admin:agents_agent_delete", args=[house.agent.pk]), {"post": "yes"}).status_code == 403


def test_only_what_is_added_by_hand_asks_for_a_tenant_first(root: Client, house: House) -> None:
    asking = {name for name in LISTS if root.get(reverse(f"admin:{name}_changelist")).context["wants_tenant"]}
    people = ("lead", "suppression", "callingwindow")
    telephone = ("siptrunk", "phonenumber", "carrieraccount")
    by_hand = {f"calls_{name}" for name in (*people, *telephone)} | {"agents_agent", "tenants_apikey", "tenants_tenantrate"}
    assert asking == by_hand | {"agents_transfertarget"}


def test_a_list_has_the_name_the_sidebar_gives_it(root: Client, house: House) -> None:
    for name, title in {"tenants_user": "People", "tenants_outboxdelivery": "Outbox", "tenants_tenant": "Tenants"}.items():
        assert root.get(reverse(f"admin:{name}_changelist")).context["list_name"] == title


def test_a_person_is_added_with_a_password(root: Client) -> None:
    url, password = reverse("admin:tenants_user_add"), "correct-horse-battery"
    assert 'name="password1"' in root.get(url).content.decode()
    data = {"username": "kim", "usable_password": "true", "password1": password, "password2": password}
    assert root.post(url, data).status_code == 302
    assert User.objects.get(username="kim").check_password(password)


def test_news_that_failed_for_good_is_tried_again_by_those_who_may(staff: Callable[..., Client], house: House) -> None:
    with tenant_scope(house.tenant):
        delivery = OutboxDelivery.objects.first()
        assert delivery is not None
        OutboxDelivery.objects.filter(pk=delivery.pk).update(
            status="dead", settled_at=timezone.now(), last_error="the disk is full"
        )
    page, revive = (reverse(f"admin:tenants_outboxdelivery_{name}", args=[delivery.pk]) for name in ("change", "revive"))
    reader, mender = (staff(house.tenant, "view_outboxdelivery", *more) for more in ((), ("change_outboxdelivery",)))
    assert "failed for good" in reader.get(page).content.decode()
    assert reader.post(revive, {"reason": "x"}).status_code == 403
    mender.post(revive, {"reason": ""})
    delivery.refresh_from_db()
    assert delivery.status == "dead"
    mender.post(revive, {"reason": "There is room again"})
    delivery.refresh_from_db()
    assert delivery.status == "pending"
