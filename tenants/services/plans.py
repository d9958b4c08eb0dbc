"""Changing plans, and putting tenants on them."""

from collections.abc import Iterator
from typing import Any

from django.db import transaction

from tenants.features import FEATURES, Choice, FeatureState, check_config, feature_spec, feature_state
from tenants.models import Plan, Tenant, TenantFeature, User
from tenants.scope import current_tenant_id, tenant_scope
from tenants.services import audit
from tenants.services.features import choice_of, tell_change


@transaction.atomic
def set_plan_feature(*, plan: Plan, key: str, choice: Choice | None, actor: User | None = None, reason: str = "") -> int:
    """Say how a feature stands in a plan, or leave it to the registry; returns for how many tenants that changes it.

    Each of them gets its record and its news. Needs to be called outside a tenant's scope. Raises UnknownFeatureError,
    and InvalidFeatureConfigError with the field.
    """
    spec = feature_spec(key)
    wanted = None if choice is None else _checked(key, choice)
    locked = Plan.objects.select_for_update(no_key=True).get(pk=plan.pk)
    # Whoever switches a feature of one of these tenants waits here, then reads the plan.
    tenants = list(Tenant.objects.filter(plan=locked).order_by("pk").select_for_update(no_key=True))
    before = locked.features.get(key)
    locked.features = {name: value for name, value in locked.features.items() if name != key}
    if wanted is not None:
        locked.features[key] = wanted
    locked.save(update_fields=["features", "updated_at"])
    changed = 0
    for tenant in tenants:
        with tenant_scope(tenant):
            own = choice_of(TenantFeature.objects.filter(feature_key=key).first())
            old, new = (feature_state(spec, override=own, planned=planned) for planned in (before, wanted))
            changed += tell_change(key=key, before=old, after=new, target=tenant, actor=actor, reason=reason)
    return changed


@transaction.atomic
def choose_plan(*, plan: Plan | None, actor: User | None = None, reason: str = "") -> bool:
    """Put the tenant in scope on a plan, or on none; say whether that is another one than before."""
    chosen = Plan.objects.select_for_update(no_key=True).get(pk=plan.pk) if plan else None
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=current_tenant_id())
    if tenant.plan_id == (chosen.pk if chosen else None):
        return False
    changes = list(plan_changes(tenant=tenant, plan=chosen))
    Tenant.objects.filter(pk=tenant.pk).update(plan=chosen)
    data = {"from": tenant.plan_id, "to": chosen.pk if chosen else None}
    audit.record(action="tenant.plan_changed", target=tenant, actor=actor, fields=["plan"], data=data, reason=reason)
    for key, before, after in changes:
        tell_change(key=key, before=before, after=after, target=tenant, actor=actor, reason=reason)
    return True


def plan_changes(*, tenant: Tenant, plan: Plan | None) -> Iterator[tuple[str, FeatureState, FeatureState]]:
    """How each feature of the tenant in scope stands now, and would on another plan; one query."""
    own = {row.feature_key: choice_of(row) for row in TenantFeature.objects.filter(tenant=tenant)}
    now, then = (row.features if row else {} for row in (tenant.plan, plan))
    for key, spec in FEATURES.items():
        before, after = (feature_state(spec, override=own.get(key), planned=planned.get(key)) for planned in (now, then))
        yield key, before, after


def _checked(key: str, choice: Choice) -> dict[str, Any]:
    return {"enabled": bool(choice["enabled"]), "config": check_config(feature_spec(key), choice.get("config") or {})}
