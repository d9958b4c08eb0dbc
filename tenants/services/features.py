"""Switching features of the tenant in scope."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

import structlog
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models, transaction
from django.db.models.functions import JSONObject

from tenants.features import FEATURES, Choice, FeatureState, check_config, feature_spec, feature_state
from tenants.models import Tenant, TenantFeature, User
from tenants.outbox import publish
from tenants.scope import current_tenant_id
from tenants.services import audit

logger = structlog.get_logger(__name__)


def enabled_features() -> dict[str, dict[str, Any]]:
    """Key → configuration of every feature the tenant in scope has; one query.

    A stored configuration that no longer fits its schema switches the feature off, with an error in the log.
    """
    enabled: dict[str, dict[str, Any]] = {}
    for key, state in feature_states().items():
        if state.errors:
            logger.error("a feature is off because its configuration is invalid", feature=key, problems=state.errors)
        if state.enabled:
            enabled[key] = dict(state.config)
    return enabled


def feature_states() -> dict[str, FeatureState]:
    """How every feature of the registry stands for the tenant in scope; one query."""
    own = TenantFeature.objects.filter(feature_key__in=FEATURES).values(
        row=JSONObject(key="feature_key", enabled="enabled", config="config")
    )
    plan, rows = Tenant.objects.filter(pk=current_tenant_id()).values_list("plan__features", ArraySubquery(own)).get()
    overrides = {row["key"]: row for row in rows}
    return {
        key: feature_state(spec, override=overrides.get(key), planned=(plan or {}).get(key)) for key, spec in FEATURES.items()
    }


@transaction.atomic
def set_feature(
    *, key: str, enabled: bool, config: Mapping[str, Any] | None = None, actor: User | None = None, reason: str = ""
) -> TenantFeature:
    """Give the tenant in scope a choice of its own, and tell whoever listens to `feature.changed`.

    Without `config` the one that holds stays. Raises UnknownFeatureError, and InvalidFeatureConfigError with the field.
    """
    spec = feature_spec(key)
    planned = _lock_tenant().get(key)
    row = TenantFeature.objects.filter(feature_key=key).first()
    before = feature_state(spec, override=choice_of(row), planned=planned)
    row = row or TenantFeature(feature_key=key)
    row.enabled = enabled
    row.config = check_config(spec, before.config if config is None else config)
    row.save()
    after = feature_state(spec, override=choice_of(row), planned=planned)
    tell_change(key=key, before=before, after=after, target=row, actor=actor, reason=reason)
    return row


@transaction.atomic
def follow_plan(*, key: str, actor: User | None = None, reason: str = "") -> bool:
    """Take back the tenant's own choice, so that the feature is as in the plan; say whether there was one.

    Raises UnknownFeatureError.
    """
    spec = feature_spec(key)
    planned = _lock_tenant().get(key)
    row = TenantFeature.objects.filter(feature_key=key).first()
    if row is None:
        return False
    TenantFeature.objects.filter(pk=row.pk).delete()
    before, after = (feature_state(spec, override=own, planned=planned) for own in (choice_of(row), None))
    tell_change(key=key, before=before, after=after, target=row, actor=actor, reason=reason)
    return True


def tell_change(
    *, key: str, before: FeatureState, after: FeatureState, target: models.Model, actor: User | None, reason: str
) -> bool:
    """Record and publish that a feature of the tenant in scope stands differently; say whether it does.

    For services that change features; `target` is the row in which the change was made.
    """
    fields = ["enabled"] if before.enabled != after.enabled else []
    old, new = (check_config(feature_spec(key), {}) | dict(state.config) for state in (before, after))
    fields += [f"config.{name}" for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if not fields:
        return False
    data = {"feature": key, "from": before.enabled, "to": after.enabled, "source": after.source.value}
    audit.record(action="feature.changed", target=target, actor=actor, fields=fields, data=data, reason=reason)
    told = {"feature": key, "enabled": after.enabled}
    publish(topic="feature.changed", object_type="feature", object_id=feature_id(current_tenant_id(), key), data=told)
    return True


def feature_id(tenant_id: UUID, key: str) -> UUID:
    """What `feature.changed` is about: the same id for one feature of one tenant, whether it has a row or not."""
    return uuid5(tenant_id, key)


def choice_of(row: TenantFeature | None) -> Choice | None:
    return None if row is None else {"enabled": row.enabled, "config": row.config}


def seed_features() -> int:
    """Write down every feature the tenant in scope has no row for, as it stands; returns how many."""
    known = set(TenantFeature.objects.values_list("feature_key", flat=True))
    missing = {key: state for key, state in feature_states().items() if key not in known}
    rows = [
        TenantFeature(feature_key=key, enabled=state.enabled, config=check_config(FEATURES[key], state.config))
        for key, state in missing.items()
        if not state.errors
    ]
    TenantFeature.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _lock_tenant() -> Mapping[str, Choice]:
    """What the tenant's plan says, with the tenant locked: a feature without a row has nothing else to lock."""
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=current_tenant_id())
    # Read after the lock: a change of the plan locks its tenants too.
    return tenant.plan.features if tenant.plan else {}
