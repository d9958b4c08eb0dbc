"""Choosing a tenant, what is in view then, and what the first page and the search tell."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from calls.models import Call, WorkerHost
from tenants.models import Membership, Tenant, User
from tenants.scope import tenant_scope
from tests.admin.conftest import House

SWITCH = reverse("tenant-switcher")


def test_choosing_a_tenant_limits_every_list(root: Client, house: House, foreign: House) -> None:
    url = reverse("admin:calls_call_changelist")
    both = root.get(url).content.decode()
    assert house.call.public_id in both
    assert foreign.call.public_id in both
    assert root.post(SWITCH, {"tenant": str(house.tenant.pk), "next": url})["Location"] == url
    one = root.get(url).content.decode()
    assert house.call.public_id in one
    assert foreign.call.public_id not in one
    root.post(SWITCH, {"tenant": "all"})
    assert foreign.call.public_id in root.get(url).content.decode()


@pytest.mark.parametrize("wanted", ["all", "nonsense", "01a20bc1-ba2a-7466-9e8f-4208e7f3e376", "foreign"])
def test_staff_choose_only_among_their_own_tenants(
    staff: Callable[..., Client], house: House, foreign: House, wanted: str
) -> None:
    client = staff(house.tenant, "view_call")
    choices = client.get(SWITCH).content.decode()
    assert house.tenant.name in choices
    assert foreign.tenant.name not in choices
    assert "All tenants" not in choices
    assert client.post(SWITCH, {"tenant": str(foreign.tenant.pk) if wanted == "foreign" else wanted}).status_code == 404
    assert foreign.call.public_id not in client.get(reverse("admin:calls_call_changelist")).content.decode()


def test_the_permission_to_see_all_tenants_shows_all(staff: Callable[..., Client], house: House, foreign: House) -> None:
    page = staff(house.tenant, "view_call", "see_all_tenants").get(reverse("admin:calls_call_changelist")).content.decode()
    assert foreign.call.public_id in page


def test_a_tenant_that_is_no_longer_mine_is_not_in_view(
    make_member: Callable[..., Membership], signed_in: Callable[..., Client], house: House, foreign: House
) -> None:
    member = make_member(house.tenant, is_staff=True)
    member.user.user_permissions.set(Permission.objects.filter(codename="view_call"))
    with tenant_scope(foreign.tenant):
        Membership.objects.create(user=member.user)
    client = signed_in(member.user, foreign.tenant)
    url = reverse("admin:calls_call_changelist")
    assert foreign.call.public_id in client.get(url).content.decode()
    with tenant_scope(foreign.tenant):
        Membership.objects.filter(user=member.user).delete()
    page = client.get(url).content.decode()
    assert foreign.call.public_id not in page
    assert house.call.public_id in page


def test_staff_without_a_tenant_are_told_and_can_leave(make_user: Callable[..., User], signed_in: Callable[..., Client]) -> None:
    client = signed_in(make_user(is_staff=True))
    response = client.get(reverse("admin:index"))
    assert response.status_code == 403
    assert "not a member of any tenant" in response.content.decode()
    assert client.post(reverse("admin:logout")).status_code == 200


@pytest.mark.parametrize(
    ("next_url", "landing"),
    [
        ("https://evil.example/", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("/admin/calls/call/?q=1", "/admin/calls/call/"),
        ("/admin/calls/call/01a20bc1-ba2a-7466-9e8f-4208e7f3e376/change/", "/admin/calls/call/"),
        ("/nowhere/", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_choosing_leads_back_to_the_list_one_was_on(root: Client, tenant: Tenant, next_url: str, landing: str) -> None:
    assert root.post(SWITCH, {"tenant": str(tenant.pk), "next": next_url})["Location"] == landing


def test_times_are_told_in_the_tenants_zone_with_utc_beside(
    root: Client, make_house: Callable[..., House], make_tenant: Callable
) -> None:
    house = make_house(make_tenant(timezone="Asia/Tokyo"))
    with tenant_scope(house.tenant):
        Call.objects.filter(pk=house.call.pk).update(created_at=datetime(2026, 3, 1, 20, 5, tzinfo=UTC))
    page = root.get(reverse("admin:calls_call_changelist")).content.decode()
    assert "2026-03-01 20:05:00 UTC" in page
    assert ">2 Mar 05:05<" in page or ">2 Mar 2026 05:05<" in page


def test_an_empty_console_says_what_to_do_first(root_of: Callable[[Tenant], Client], tenant: Tenant) -> None:
    page = root_of(tenant).get(reverse("admin:index")).content.decode()
    assert "Start with an agent" in page
    assert "No worker host is alive" in page
    assert "Simulate your first call" in root_of(tenant).get(reverse("admin:calls_call_changelist")).content.decode()


def test_the_dashboard_leaves_test_calls_out_unless_asked_for(root_of: Callable[[Tenant], Client], make_house: Callable) -> None:
    house = make_house()
    with tenant_scope(house.tenant):
        Call.objects.update(disposition="failed", ended_reason="worker_lost")
    client = root_of(house.tenant)
    live = client.get(reverse("admin:index")).context
    assert (live["today"].calls, live["today"].bad, live["failures"]) == (0, 0, [])
    tests = client.get(reverse("admin:index"), {"tests": "1"})
    assert (tests.context["today"].calls, tests.context["today"].bad) == (1, 1)
    assert "stopped answering; what was said until then is kept" in tests.content.decode()


def test_hosts_that_fell_silent_are_not_alive(root: Client, house: House) -> None:
    assert root.get(reverse("admin:index")).context["hosts"]["alive"] == 1
    WorkerHost.objects.update(last_beat_at=timezone.now() - timedelta(minutes=1))
    assert root.get(reverse("admin:index")).context["hosts"]["alive"] == 0
    assert "silent" in root.get(reverse("admin:calls_workerhost_changelist")).content.decode()


def test_hosts_show_what_they_hold_and_what_they_run_on(root: Client, house: House) -> None:
    facts = {"job_ids": ["job-1"], "memory_mb": 180, "peak_job_mb": 210, "versions": {"platform": "9.9", "livekit": "1.2.3"}}
    WorkerHost.objects.update(draining=True, **facts)
    url = reverse("admin:calls_workerhost_changelist")
    page = root.get(url).content.decode()
    assert all(shown in page for shown in ("draining", "1 of 2", "180 MB", "210 MB", "9.9", "livekit 1.2.3"))
    for state, found in {"draining": True, "alive": True, "gone": False}.items():
        assert ("180 MB" in root.get(url, {"state": state}).content.decode()) == found
    dashboard = root.get(reverse("admin:index")).context["hosts"]
    assert (dashboard["alive"], dashboard["busy"], dashboard["slots"]) == (1, 1, 1)


def test_search_finds_pages_and_rows_in_view_only(root_of: Callable[[Tenant], Client], house: House, foreign: House) -> None:
    client, url = root_of(house.tenant), reverse("admin:search")
    assert url == "/admin/search/"
    agents = client.get(url, {"s": "agent", "extended": "1"}).content.decode()
    assert house.agent.name in agents
    assert f">{foreign.agent.name}<" not in agents
    assert (
        reverse("admin:calls_call_change", args=[house.call.pk]) in client.get(url, {"s": house.call.public_id}).content.decode()
    )
    assert str(foreign.call.pk) not in client.get(url, {"s": foreign.call.public_id}).content.decode()
    assert foreign.tenant.name not in client.get(url, {"s": "tenant"}).content.decode()


def test_search_shows_nothing_without_permission(staff: Callable[..., Client], house: House) -> None:
    page = staff(house.tenant).get(reverse("admin:search"), {"s": "a", "extended": "1"}).content.decode()
    assert house.agent.name not in page
    assert "Rates" not in page
