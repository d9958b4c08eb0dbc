"""System checks: references between tenant-owned rows stay inside their tenant, and stored secrets can be read."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models

from voiceplatform.lib.secrets import check_keys


@register("models")
def check_tenant_references(app_configs: Any = None, **_kwargs: Any) -> list[CheckMessage]:
    from tenants.models import TenantModel  # noqa: PLC0415 - checks are registered before the models are loaded

    chosen = {config.label for config in app_configs} if app_configs else None
    return [
        problem
        for model in apps.get_models(include_auto_created=True)
        if issubclass(model, TenantModel) and (chosen is None or model._meta.app_label in chosen)
        for problem in (*_check_keys(model), *_check_fields(model))
    ]


@register(Tags.security)
def check_encryption_keys(**_kwargs: Any) -> list[CheckMessage]:
    """Keys that are set are keys."""
    return _key_errors() if settings.FIELD_ENCRYPTION_KEYS else []


@register(Tags.security, deploy=True)
def check_encryption_keys_are_set(**_kwargs: Any) -> list[CheckMessage]:
    return [] if settings.FIELD_ENCRYPTION_KEYS else _key_errors()


def _key_errors() -> list[CheckMessage]:
    try:
        check_keys()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="The first key encrypts, all of them decrypt.", id="tenants.E005")]
    return []


def _check_keys(model: type[models.Model]) -> Iterator[CheckMessage]:
    from tenants.models import TenantForeignKey  # noqa: PLC0415

    for key in model._meta.constraints:
        if not isinstance(key, TenantForeignKey):
            continue
        try:
            field = key.foreign_key(model)
        except FieldDoesNotExist:
            yield Error(f"{key.name}: {key.field!r} is not a foreign key.", obj=model, id="tenants.E001")
            continue
        if field.db_constraint:  # type: ignore[attr-defined]
            yield Error(f"{key.name}: {key.field!r} needs db_constraint=False.", obj=model, id="tenants.E002")
        target = field.related_model._meta
        if ("tenant", "id") not in [c.fields for c in target.constraints if isinstance(c, models.UniqueConstraint)]:
            yield Error(f"{key.name}: {target.label} has no tenant_key.", obj=model, id="tenants.E003")


def _check_fields(model: type[models.Model]) -> Iterator[CheckMessage]:
    from tenants.models import TenantForeignKey, TenantModel  # noqa: PLC0415

    kept_inside = {key.field for key in model._meta.constraints if isinstance(key, TenantForeignKey)}
    for field in model._meta.local_fields:
        target = field.related_model
        if isinstance(target, type) and issubclass(target, TenantModel) and field.name not in kept_inside:
            hint = f'Add TenantForeignKey(field="{field.name}", name=…) to Meta.constraints.'
            yield Error(f"{field.name!r} could refer to another tenant's row.", hint=hint, obj=model, id="tenants.E004")
