"""Features: defaults without a row, refused when they do not fit, told when they change."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tenants.errors import InvalidFeatureConfigError, NoTenantScopeError, UnknownFeatureError
from tenants.features import FEATURES
from tenants.models import AuditEvent, OutboxEvent, Tenant, TenantFeature, User
from tenants.scope import tenant_scope
from tenants.services.features import enabled_features, feature_id, set_feature

MESSAGE, RECORDING, LISTENING = "voice-agent-tool-take-message", "call-recording", "call-listening"
DEFAULTS: dict[str, Any] = {MESSAGE: {"max_per_call": 2}, RECORDING: {}, LISTENING: {}}


def test_every_feature_has_words_a_schema_and_a_default() -> None:
    for key, spec in FEATURES.items():
        assert (spec.key, bool(spec.label), bool(spec.description)) == (key, True, True)
        assert spec.schema().model_dump() == DEFAULTS.get(key, spec.schema().model_dump())
    assert {key for key, spec in FEATURES.items() if spec.default_enabled} == DEFAULTS.keys()


def test_defaults_hold_without_a_row(scope: Tenant, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert enabled_features() == DEFAULTS
    assert TenantFeature.objects.count() == 0


def test_features_need_a_scope(db: None) -> None:
    with pytest.raises(NoTenantScopeError):
        enabled_features()
    with pytest.raises(NoTenantScopeError):
        set_feature(key=RECORDING, enabled=False)


def test_a_feature_is_switched_for_one_tenant_only(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        set_feature(key=MESSAGE, enabled=True, config={"max_per_call": 5})
        set_feature(key=RECORDING, enabled=False)
        assert enabled_features() == {MESSAGE: {"max_per_call": 5}, LISTENING: {}}
    with tenant_scope(other_tenant):
        assert enabled_features() == DEFAULTS


def test_switching_keeps_the_configuration(scope: Tenant) -> None:
    set_feature(key=MESSAGE, enabled=True, config={"max_per_call": 5})
    set_feature(key=MESSAGE, enabled=False)
    set_feature(key=MESSAGE, enabled=True)
    assert enabled_features()[MESSAGE] == {"max_per_call": 5}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"max_per_call": 0}, "max_per_call"),
        ({"max_per_call": 6}, "max_per_call"),
        ({"max_per_call": "x"}, "max_per_call"),
        ({"x": 1}, "x"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_by_field(scope: Tenant, config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFeatureConfigError) as refused:
        set_feature(key=MESSAGE, enabled=True, config=config)
    assert list(refused.value.errors) == [field]
    assert refused.value.errors[field]
    assert (TenantFeature.objects.count(), OutboxEvent.objects.count()) == (0, 0)


def test_an_unknown_feature_is_refused(scope: Tenant) -> None:
    with pytest.raises(UnknownFeatureError, match="call-recording"):
        set_feature(key="voice-agent-tool-fly", enabled=True)
    assert TenantFeature.objects.count() == 0


def test_a_change_is_recorded_and_told_once(scope: Tenant, make_user: Callable[..., User]) -> None:
    actor = make_user()
    for _ in range(2):
        row = set_feature(key=RECORDING, enabled=False, actor=actor, reason="consent withdrawn")
    event = AuditEvent.objects.get(action="feature.changed")
    assert (event.target_id, event.actor_id, event.fields, event.reason) == (row.pk, actor.pk, ["enabled"], "consent withdrawn")
    told = OutboxEvent.objects.get(topic="feature.changed")
    assert (told.object_id, told.data) == (feature_id(scope.pk, RECORDING), {"feature": RECORDING, "enabled": False})


def test_writing_down_the_default_is_no_change(scope: Tenant) -> None:
    set_feature(key=MESSAGE, enabled=True, config={"max_per_call": 2})
    assert TenantFeature.objects.count() == 1
    assert OutboxEvent.objects.count() == 0


def test_a_stored_configuration_that_no_longer_fits_switches_off(scope: Tenant, caplog: Any) -> None:
    TenantFeature.objects.create(feature_key=MESSAGE, enabled=True, config={"max_per_call": 99})
    TenantFeature.objects.create(feature_key="retired", enabled=True)
    assert enabled_features() == {RECORDING: {}, LISTENING: {}}
    assert "configuration is invalid" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_two_people_who_switch_at_once_make_one_row(tenant: Tenant) -> None:
    together = Barrier(4)

    def switch(number: int) -> None:
        together.wait()
        with tenant_scope(tenant):
            set_feature(key=MESSAGE, enabled=True, config={"max_per_call": 3 + number % 2})
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(switch, range(4)))
    with tenant_scope(tenant):
        assert TenantFeature.objects.count() == 1
        assert OutboxEvent.objects.count() == AuditEvent.objects.filter(action="feature.changed").count()


def test_the_command_writes_defaults_down_once(tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        set_feature(key=RECORDING, enabled=False)
    for added in (len(FEATURES) - 1, 0):
        out = StringIO()
        call_command("seed_features", tenant=tenant.slug, stdout=out)
        assert out.getvalue() == f"{tenant.slug}: {added} added\n"
    call_command("seed_features", stdout=StringIO())
    with tenant_scope(tenant):
        assert enabled_features() == {MESSAGE: {"max_per_call": 2}, LISTENING: {}}
    assert TenantFeature.all_objects.count() == 2 * len(FEATURES)
    with pytest.raises(CommandError, match="nobody"):
        call_command("seed_features", tenant="nobody")
