"""Plans: what they say holds unless a tenant has a choice of its own, and whoever it changes is told."""

from collections.abc import Callable
from typing import Any

import pytest

from tenants.errors import InvalidFeatureConfigError, NoTenantScopeError, UnknownFeatureError
from tenants.features import FEATURES
from tenants.models import AuditEvent, OutboxEvent, Plan, Tenant, TenantFeature, TenantLimits, User
from tenants.scope import tenant_scope
from tenants.services.api_keys import create_key, forget_keys, resolve_key
from tenants.services.feature_bulk import Switch, switch_features
from tenants.services.features import enabled_features, feature_id, feature_states, follow_plan, seed_features, set_feature
from tenants.services.limits import Limits, effective_limits
from tenants.services.plans import choose_plan, set_plan_feature

MESSAGE, RECORDING, LISTENING = "voice-agent-tool-take-message", "call-recording", "call-listening"
OFF: dict[str, Any] = {"enabled": False, "config": {}}


@pytest.fixture
def plan(db: None) -> Plan:
    """Without recording, with five messages."""
    features = {RECORDING: OFF, MESSAGE: {"enabled": True, "config": {"max_per_call": 5}}}
    return Plan.objects.create(
        name="Basic", features=features, max_open_calls=3, api_requests_per_minute=70, calls_per_phone_day=1
    )


def told() -> list[tuple[str, bool]]:
    events = OutboxEvent.objects.filter(topic="feature.changed").order_by("created_at", "id")
    return [(event.data["feature"], event.data["enabled"]) for event in events]


def test_a_plan_holds_between_the_default_and_the_tenants_choice(
    scope: Tenant, plan: Plan, django_assert_num_queries: Any
) -> None:
    assert {state.source for state in feature_states().values()} == {"default"}
    choose_plan(plan=plan)
    with django_assert_num_queries(1):
        assert enabled_features() == {MESSAGE: {"max_per_call": 5}, LISTENING: {}}
    set_feature(key=RECORDING, enabled=True)
    with django_assert_num_queries(1):
        assert set(enabled_features()) == {MESSAGE, RECORDING, LISTENING}
    sources = {key: state.source.value for key, state in feature_states().items() if state.source != "default"}
    assert sources == {MESSAGE: "plan", RECORDING: "override"}
    assert follow_plan(key=RECORDING)
    assert set(enabled_features()) == {MESSAGE, LISTENING}
    assert not follow_plan(key=RECORDING)


def test_choosing_a_plan_is_recorded_and_told_for_what_changes(scope: Tenant, plan: Plan, make_user: Callable[..., User]) -> None:
    actor = make_user()
    set_feature(key=RECORDING, enabled=False)
    assert choose_plan(plan=plan, actor=actor, reason="upgraded")
    assert not choose_plan(plan=plan, actor=actor, reason="again")
    chosen = AuditEvent.objects.get(action="tenant.plan_changed")
    assert (chosen.data, chosen.actor_id, chosen.reason) == ({"from": None, "to": str(plan.pk)}, actor.pk, "upgraded")
    changed = AuditEvent.objects.get(action="feature.changed", reason="upgraded")
    assert changed.data == {"feature": MESSAGE, "from": True, "to": True, "source": "plan"}
    assert changed.fields == ["config.max_per_call"]
    assert told() == [(RECORDING, False), (MESSAGE, True)]


def test_a_change_of_a_plan_reaches_those_without_a_choice_of_their_own(
    make_tenant: Callable[..., Tenant], plan: Plan, make_user: Callable[..., User]
) -> None:
    follows, own, elsewhere = make_tenant(), make_tenant(), make_tenant()
    for tenant in (follows, own):
        with tenant_scope(tenant):
            choose_plan(plan=plan)
    with tenant_scope(own):
        set_feature(key=MESSAGE, enabled=True, config={"max_per_call": 1})
    actor = make_user()
    assert set_plan_feature(plan=plan, key=MESSAGE, choice=OFF, actor=actor, reason="costs more now") == 1
    with tenant_scope(follows):
        assert MESSAGE not in enabled_features()
        event = AuditEvent.objects.get(reason="costs more now")
        assert (event.actor_id, event.data) == (actor.pk, {"feature": MESSAGE, "from": True, "to": False, "source": "plan"})
        assert OutboxEvent.objects.filter(object_id=feature_id(follows.pk, MESSAGE)).count() == 2
    for tenant, most in ((own, 1), (elsewhere, 2)):
        with tenant_scope(tenant):
            assert enabled_features()[MESSAGE] == {"max_per_call": most}
            assert not AuditEvent.objects.filter(reason="costs more now").exists()


def test_a_feature_left_out_of_the_plan_is_as_the_registry_says(tenant: Tenant, plan: Plan) -> None:
    with tenant_scope(tenant):
        choose_plan(plan=plan)
    assert set_plan_feature(plan=plan, key=RECORDING, choice=None) == 1
    with tenant_scope(tenant):
        assert feature_states()[RECORDING].source == "default"
        assert RECORDING in enabled_features()


def test_a_plan_refuses_what_does_not_fit(tenant: Tenant, plan: Plan) -> None:
    before = plan.features
    with pytest.raises(InvalidFeatureConfigError) as refused:
        set_plan_feature(plan=plan, key=MESSAGE, choice={"enabled": True, "config": {"max_per_call": 99}})
    assert list(refused.value.errors) == ["max_per_call"]
    with pytest.raises(UnknownFeatureError):
        set_plan_feature(plan=plan, key="fly", choice=OFF)
    plan.refresh_from_db()
    assert plan.features == before


def test_a_plan_is_not_changed_from_inside_one_tenant(tenant: Tenant, other_tenant: Tenant, plan: Plan) -> None:
    for one in (tenant, other_tenant):
        with tenant_scope(one):
            choose_plan(plan=plan)
    with tenant_scope(tenant), pytest.raises(NoTenantScopeError):
        set_plan_feature(plan=plan, key=MESSAGE, choice=OFF)
    plan.refresh_from_db()
    assert plan.features[MESSAGE]["enabled"] is True


def test_limits_are_the_tenants_own_then_the_plans_then_the_platforms(scope: Tenant, plan: Plan) -> None:
    assert effective_limits() == Limits(10, 1200, calls_per_phone_day=3, calls_per_phone_week=7)
    choose_plan(plan=plan)
    assert effective_limits() == Limits(3, 70, calls_per_phone_day=1, calls_per_phone_week=7)
    TenantLimits.objects.update(max_open_calls=0, calls_per_phone_week=2)
    assert effective_limits() == Limits(0, 70, calls_per_phone_day=1, calls_per_phone_week=2)


def test_a_key_counts_against_the_limit_that_holds(tenant: Tenant, plan: Plan) -> None:
    with tenant_scope(tenant):
        secret = create_key(name="a", scopes=["agents:read"]).secret
        for expected in (1200, 70):
            forget_keys()
            assert resolve_key(secret, ip=None).tenant_per_minute == expected
            choose_plan(plan=plan)
    forget_keys()


def test_writing_features_down_changes_none(scope: Tenant, plan: Plan) -> None:
    choose_plan(plan=plan)
    before = enabled_features()
    assert seed_features() == len(FEATURES)
    assert enabled_features() == before


def test_many_tenants_are_switched_one_by_one(make_tenant: Callable[..., Tenant]) -> None:
    fine, broken = make_tenant(), make_tenant()
    with tenant_scope(broken):
        TenantFeature.objects.create(feature_key=MESSAGE, enabled=False, config={"max_per_call": 99})
    both = {MESSAGE, RECORDING}
    outcome = switch_features(wanted={broken.pk: both, fine.pk: both}, to=Switch.ON, reason="sold")
    assert (outcome.done, list(outcome.refused)) == (1, [broken.pk])
    with tenant_scope(broken):
        assert TenantFeature.objects.get().enabled is False, "all of a tenant's features, or none"
    with tenant_scope(fine):
        assert TenantFeature.objects.filter(enabled=True).count() == 2
    switch_features(wanted={fine.pk: both}, to=Switch.PLAN)
    with tenant_scope(fine):
        assert not TenantFeature.objects.exists()
