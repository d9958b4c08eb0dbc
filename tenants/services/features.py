"""Switching features of the tenant in scope."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction
from pydantic import ValidationError

from tenants.errors import InvalidFeatureConfigError
from tenants.features import FEATURES, FeatureSpec, feature_spec
from tenants.models import Tenant, TenantFeature, User
from tenants.outbox import publish
from tenants.scope import current_tenant_id
from tenants.services import audit
from voiceplatform.lib.schema_errors import schema_errors

logger = structlog.get_logger(__name__)


def enabled_features() -> dict[str, dict[str, Any]]:
    """Key → configuration of every feature the tenant in scope has; one query.

    A stored configuration that no longer fits its schema switches the feature off, with an error in the log.
    """
    chosen = {row.feature_key: row for row in TenantFeature.objects.filter(feature_key__in=FEATURES)}
    enabled: dict[str, dict[str, Any]] = {}
    for key, spec in FEATURES.items():
        row = chosen.get(key)
        if not (row.enabled if row else spec.default_enabled):
            continue
        try:
            enabled[key] = _checked(spec, row.config if row else {})
        except InvalidFeatureConfigError as error:
            logger.error("a feature is off because its configuration is invalid", feature=key, problems=error.errors)  # noqa: TRY400 - the message says it all
    return enabled


@transaction.atomic
def set_feature(
    *, key: str, enabled: bool, config: Mapping[str, Any] | None = None, actor: User | None = None, reason: str = ""
) -> TenantFeature:
    """Switch a feature of the tenant in scope, and tell whoever listens to `feature.changed`.

    Without `config` the stored one stays. Raises UnknownFeatureError, and InvalidFeatureConfigError with the field.
    """
    spec = feature_spec(key)
    # The tenant's row orders two people who switch at once; a feature without a row has nothing to lock.
    Tenant.objects.select_for_update(no_key=True).get(pk=current_tenant_id())
    row = TenantFeature.objects.filter(feature_key=key).first()
    before = (row.enabled, row.config) if row else (spec.default_enabled, _checked(spec, {}))
    row = row or TenantFeature(feature_key=key)
    row.enabled = enabled
    row.config = _checked(spec, before[1] if config is None else config)
    row.save()
    changed = [
        name for name, old, new in zip(("enabled", "config"), before, (row.enabled, row.config), strict=True) if old != new
    ]
    if changed:
        data: dict[str, str | bool] = {"feature": key, "enabled": enabled}
        audit.record(action="feature.changed", target=row, actor=actor, fields=changed, data=data, reason=reason)
        publish(topic="feature.changed", object_type="feature", object_id=row.pk, data=data)
    return row


def seed_features() -> int:
    """Write down the defaults of every feature the tenant in scope has no row for; returns how many."""
    known = set(TenantFeature.objects.values_list("feature_key", flat=True))
    missing = [spec for key, spec in FEATURES.items() if key not in known]
    rows = [TenantFeature(feature_key=spec.key, enabled=spec.default_enabled, config=_checked(spec, {})) for spec in missing]
    TenantFeature.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _checked(spec: FeatureSpec, config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return spec.schema.model_validate(config).model_dump(mode="json")
    except ValidationError as error:
        raise InvalidFeatureConfigError(spec.key, schema_errors(error)) from error
