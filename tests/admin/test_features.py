"""The matrix of tenants and features, what a switch does before it is done, plans, and the history."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.testing import make_agent
from calls.testing import make_call
from tenants.features import FEATURES
from tenants.models import AuditEvent, Membership, Plan, Tenant, TenantFeature
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from tenants.services.plans import choose_plan

MATRIX = reverse("feature-matrix")
MESSAGE, RECORDING = "voice-agent-tool-take-message", "call-recording"
OTHERS = [(spec.default_enabled, "default") for spec in FEATURES.values()][1:]
SWITCHER = "change_tenantfeature"


def cell(tenant: Tenant, key: str = MESSAGE) -> str:
    return f"{tenant.pk}:{key}"


def switch(client: Client, *cells: str, to: str = "off", reason: str = "asked by phone", confirm: bool = False) -> Any:
    return client.post(MATRIX, {"cell": cells, "to": to, "reason": reason} | ({"confirm": "1"} if confirm else {}))


def stands(client: Client, **params: str) -> dict[str, list[tuple[bool, str]]]:
    rows = client.get(MATRIX, params).context["rows"]
    return {row.tenant.name: [(cell.state.enabled, cell.state.source.value) for cell in row.cells] for row in rows}


@pytest.fixture
def bare(db: None) -> Plan:
    return Plan.objects.create(name="Bare", features={MESSAGE: {"enabled": False, "config": {}}})


def with_agents(tenant: Tenant, *, agents: int, calls: int) -> None:
    """Agents that may take messages, and open calls of the first; a draft and an agent without the tool besides."""
    with tenant_scope(tenant):
        made = [make_agent(tools={"take_message": {}}) for _ in range(agents)]
        for _ in range(calls):
            make_call(agent=made[0], status="in_progress")
        make_call(agent=made[0], status="ended")
        make_agent(tools={"take_message": {}}, published=False)
        make_call(agent=make_agent(), status="in_progress")


def test_each_cell_says_whose_choice_it_is(root: Client, make_tenant: Callable[..., Tenant], bare: Plan) -> None:
    default, planned, own = make_tenant(name="A"), make_tenant(name="B"), make_tenant(name="C")
    for tenant in (planned, own):
        with tenant_scope(tenant):
            choose_plan(plan=bare)
    with tenant_scope(own):
        set_feature(key=MESSAGE, enabled=True)
    assert stands(root) == {
        default.name: [(True, "default"), *OTHERS],
        planned.name: [(False, "plan"), *OTHERS],
        own.name: [(True, "override"), *OTHERS],
    }


def test_tenants_are_found_by_name_plan_and_agency(root: Client, make_tenant: Callable[..., Tenant], bare: Plan) -> None:
    agency = make_tenant(name="Big Agency")
    make_tenant(name="Corner Shop", agency=agency)
    with tenant_scope(agency):
        choose_plan(plan=bare)
    assert list(stands(root, q="SHOP")) == ["Corner Shop"]
    assert list(stands(root, plan=str(bare.pk))) == ["Big Agency"]
    assert list(stands(root, plan="none")) == ["Corner Shop"]
    assert list(stands(root, agency=str(agency.pk))) == ["Corner Shop"]
    assert "No tenant matches" in root.get(MATRIX, {"agency": "nonsense"}).content.decode()


def test_tenants_come_fifty_a_page(root: Client, make_tenant: Callable[..., Tenant]) -> None:
    for number in range(51):
        make_tenant(name=f"N{number:03}")
    first = root.get(MATRIX, {"q": "n0"})
    assert len(first.context["rows"]) == 50
    assert "?q=n0&amp;page=2" in first.content.decode()
    assert list(stands(root, q="n0", page="2")) == ["N050"]
    assert root.get(MATRIX, {"page": "nonsense"}).status_code == 404


def test_the_effect_is_told_before_anything_changes(root: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    with_agents(tenant, agents=1, calls=3)
    with_agents(other_tenant, agents=1, calls=0)
    answer = switch(root, cell(tenant), cell(other_tenant), cell(tenant, RECORDING))
    told = {(effect.key, effect.on, effect.tenants): effect.sentence for effect in answer.context["effects"]}
    assert told[MESSAGE, False, 2] == "2 agents lose take_message; 3 live calls lose it at next use."
    assert "next one on" in told[RECORDING, False, 1]
    for one in (tenant, other_tenant):
        with tenant_scope(one):
            assert not TenantFeature.objects.exists()
            set_feature(key=MESSAGE, enabled=False)
    [gained] = switch(root, cell(tenant), cell(other_tenant), to="plan").context["effects"]
    assert (gained.on, gained.sentence[:35]) == (True, "2 agents gain take_message in new c")
    assert "3 live calls" in gained.sentence


def test_a_confirmed_switch_is_done_with_actor_and_reason(
    root: Client, tenant: Tenant, other_tenant: Tenant, make_tenant: Callable[..., Tenant]
) -> None:
    untouched = make_tenant()
    assert switch(root, cell(tenant), cell(other_tenant), confirm=True)["Location"] == MATRIX
    for one in (tenant, other_tenant):
        with tenant_scope(one):
            event = AuditEvent.objects.get(action="feature.changed")
            assert (event.reason, str(event.actor_id)) == ("asked by phone", root.session["_auth_user_id"])
    with tenant_scope(untouched):
        assert not TenantFeature.objects.exists()
    switch(root, cell(tenant), to="plan", confirm=True)
    with tenant_scope(tenant):
        assert not TenantFeature.objects.exists()


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"to": "sideways"}])
def test_without_a_reason_or_a_choice_nothing_changes_and_the_cells_stay_chosen(
    root: Client, tenant: Tenant, wrong: dict[str, str]
) -> None:
    answer = switch(root, cell(tenant), confirm=True, **wrong)
    assert answer.context["chosen"] == {cell(tenant)}
    assert list(answer.context["form"].errors) == list(wrong)
    with tenant_scope(tenant):
        assert not TenantFeature.objects.exists()


@pytest.mark.parametrize("cells", [(), ("nonsense",), ("01a20bc1-ba2a-7466-9e8f-4208e7f3e376:call-recording",)])
def test_choosing_nothing_changes_nothing(root: Client, tenant: Tenant, cells: tuple[str, ...]) -> None:
    assert switch(root, *cells, confirm=True).status_code == 302
    assert switch(root, f"{tenant.pk}:fly", confirm=True).status_code == 302
    with tenant_scope(tenant):
        assert not TenantFeature.objects.exists()


def test_members_switch_features_of_their_own_tenant_only(
    staff: Callable[..., Client], tenant: Tenant, other_tenant: Tenant
) -> None:
    client = staff(tenant, SWITCHER)
    assert list(stands(client)) == [tenant.name]
    assert other_tenant.name not in client.get(MATRIX).content.decode()
    switch(client, cell(tenant), cell(other_tenant), confirm=True)
    with tenant_scope(tenant):
        assert TenantFeature.objects.get().enabled is False
    with tenant_scope(other_tenant):
        assert not TenantFeature.objects.exists()


def test_the_matrix_and_the_history_need_their_permission(staff: Callable[..., Client], tenant: Tenant) -> None:
    client = staff(tenant, "view_tenant", "change_tenant")
    assert client.get(MATRIX).status_code == 403
    assert switch(client, cell(tenant), confirm=True).status_code == 403
    assert client.get(reverse("feature-history", args=[MESSAGE])).status_code == 403


def test_the_history_of_a_feature_names_tenant_change_and_reason(
    root: Client, root_of: Callable[[Tenant], Client], tenant: Tenant, other_tenant: Tenant
) -> None:
    url = reverse("feature-history", args=[MESSAGE])
    assert "Nobody has changed it yet" in root.get(url).content.decode()
    with tenant_scope(tenant):
        set_feature(key=MESSAGE, enabled=False, reason="unpaid")
        set_feature(key=MESSAGE, enabled=False, config={"max_per_call": 4}, reason="for later")
        set_feature(key=RECORDING, enabled=False, reason="another feature")
    [later, first] = root.get(url).context["entries"]
    assert (first.tenant, first.was, first.is_on, first.reason) == (tenant, True, False, "unpaid")
    assert (later.was, later.is_on, later.settings) == (None, None, "max per call")
    assert root_of(other_tenant).get(url).context["entries"] == []
    assert root.get(reverse("feature-history", args=["fly"])).status_code == 404


def test_pages_of_features_cost_the_same_for_any_number_of_tenants(root: Client, make_tenant: Callable[..., Tenant]) -> None:
    def cost(*tenants: Tenant) -> list[int]:
        counts = []
        for ask in (
            lambda: root.get(MATRIX),
            lambda: switch(root, *map(cell, tenants)),
            lambda: root.get(reverse("feature-history", args=[MESSAGE])),
        ):
            with CaptureQueriesContext(connection) as captured:
                assert ask().status_code == 200
            counts.append(len(captured))
        return counts

    def filled() -> Tenant:
        tenant = make_tenant()
        with_agents(tenant, agents=1, calls=1)
        with tenant_scope(tenant):
            set_feature(key=MESSAGE, enabled=False)
        return tenant

    first = filled()
    before = cost(first)
    assert cost(first, *[filled() for _ in range(4)]) == before


def test_a_tenants_page_tells_the_effect_of_each_choice(root: Client, tenant: Tenant, bare: Plan) -> None:
    with_agents(tenant, agents=2, calls=1)
    url = reverse("admin:tenants_tenant_features", args=[tenant.pk])
    row = next(row for row in root.get(url).context["rows"] if row["key"] == MESSAGE)
    on, off, plan = row["offers"]
    assert (on.effect, off.effect) == (plan.effect, "2 agents lose take_message; 1 live call loses it at next use.")
    assert plan.checked
    data = {"plan-plan": str(bare.pk), "plan-reason": "downgraded"}
    [effect] = root.post(url, data).context["effects"]
    assert effect.sentence == off.effect
    tenant.refresh_from_db()
    assert tenant.plan is None
    assert root.post(url, {**data, "confirm": "1"}).status_code == 302
    tenant.refresh_from_db()
    assert tenant.plan == bare
    assert "As in the plan Bare: off" in root.get(url).content.decode()


def test_a_tenant_goes_back_to_its_plan_on_its_page(root: Client, tenant: Tenant) -> None:
    with tenant_scope(tenant):
        set_feature(key=MESSAGE, enabled=False)
    url = reverse("admin:tenants_tenant_features", args=[tenant.pk])
    data = {"feature": MESSAGE, "choice": "plan", f"{MESSAGE}-why-reason": "paid"}
    assert root.post(url, {**data, "choice": "sideways"}).status_code == 200
    with tenant_scope(tenant):
        assert TenantFeature.objects.exists()
    assert root.post(url, data).status_code == 302
    with tenant_scope(tenant):
        assert not TenantFeature.objects.exists()
        assert AuditEvent.objects.get(reason="paid").data["source"] == "default"


def test_members_do_not_choose_their_own_plan(staff: Callable[..., Client], tenant: Tenant, bare: Plan) -> None:
    client, url = staff(tenant, "view_tenant", "change_tenant"), reverse("admin:tenants_tenant_features", args=[tenant.pk])
    assert client.get(url).context["plan_form"] is None
    assert client.post(url, {"plan-plan": str(bare.pk), "plan-reason": "x", "confirm": "1"}).status_code == 403
    tenant.refresh_from_db()
    assert tenant.plan is None


def test_a_plan_is_made_and_changed_after_a_look_at_the_effect(root: Client, tenant: Tenant) -> None:
    data = {"name": "Pro", "description": "", "max_open_calls": "5", "api_requests_per_minute": "100"}
    data |= {"calls_per_phone_day": "2", "calls_per_phone_week": "4"}
    assert root.post(reverse("admin:tenants_plan_add"), data).status_code == 302
    plan = Plan.objects.get(name="Pro", calls_per_phone_day=2, calls_per_phone_week=4)
    with tenant_scope(tenant):
        choose_plan(plan=plan)
    with_agents(tenant, agents=1, calls=0)
    url = reverse("admin:tenants_plan_features", args=[plan.pk])
    sent = {"feature": MESSAGE, "choice": "off", f"{MESSAGE}-max_per_call": "2", f"{MESSAGE}-why-reason": "dearer"}
    row = next(row for row in root.post(url, sent).context["rows"] if row["key"] == MESSAGE)
    assert [effect.sentence for effect in row["effects"]] == ["1 agent loses take_message; no live call has it."]
    plan.refresh_from_db()
    assert plan.features == {}
    assert root.post(url, {**sent, "confirm": "1"}).status_code == 302
    with tenant_scope(tenant):
        assert AuditEvent.objects.get(action="feature.changed").reason == "dearer"
    wrong = root.post(url, {**sent, "confirm": "1", f"{MESSAGE}-max_per_call": "99"})
    row = next(row for row in wrong.context["rows"] if row["key"] == MESSAGE)
    assert list(row["form"].errors) == ["max_per_call"]


def test_plans_are_changed_only_by_those_who_see_everybody(
    staff: Callable[..., Client], root_of: Callable[[Tenant], Client], tenant: Tenant, bare: Plan
) -> None:
    url = reverse("admin:tenants_plan_features", args=[bare.pk])
    sent = {"feature": MESSAGE, "choice": "on", f"{MESSAGE}-max_per_call": "2", f"{MESSAGE}-why-reason": "x", "confirm": "1"}
    for client in (staff(tenant, "view_plan", "change_plan", "add_plan"), root_of(tenant)):
        assert "choose “All tenants”" in client.get(url).content.decode()
        assert client.post(url, sent).status_code == 403
        assert client.get(reverse("admin:tenants_plan_add")).status_code == 403
    bare.refresh_from_db()
    assert bare.features[MESSAGE]["enabled"] is False


def test_a_plan_in_use_is_not_deleted(root: Client, tenant: Tenant, bare: Plan) -> None:
    with tenant_scope(tenant):
        choose_plan(plan=bare)
    root.post(reverse("admin:tenants_plan_delete", args=[bare.pk]), {"post": "yes"})
    assert Plan.objects.filter(pk=bare.pk).exists()


def test_the_sidebar_shows_features_to_those_who_may(
    staff: Callable[..., Client], make_member: Callable[..., Membership], tenant: Tenant
) -> None:
    home = reverse("admin:index")
    assert MATRIX in staff(tenant, SWITCHER).get(home).content.decode()
    assert MATRIX not in staff(tenant).get(home).content.decode()
