"""What every tenant-owned model is made of."""

from typing import Any

from django.db import models

from tenants.models.keys import TenantForeignKey, tenant_key
from tenants.models.query import TenantManager, TenantQuerySet, adopt, check_owner, scoped_manager
from voiceplatform.lib.ids import to_public_id, uuid7


class UUIDModel(models.Model):
    """A UUIDv7 primary key, shown outside with the model's `public_prefix`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    public_prefix = ""

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        return to_public_id(self.public_prefix, self.pk)


class TenantModel(UUIDModel):
    """A row that belongs to one tenant.

    `objects` is scoped; `all_objects` is the bypass for migrations, resolvers and sweeps. A row in hand can be
    refreshed and its foreign keys followed anywhere; it is saved and deleted only in its tenant's scope.
    """

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")

    objects = TenantManager()
    all_objects = models.Manager()  # noqa: DJ012 - it is a manager, under a name ruff does not know

    class Meta:
        abstract = True
        base_manager_name = "all_objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        adopt(self)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        check_owner(self)
        return super().delete(*args, **kwargs)

    def _do_update(self, base_qs: models.QuerySet, *args: Any, **kwargs: Any) -> Any:
        # A row that was given another tenant's id, or another tenant, matches nothing.
        return super()._do_update(base_qs.filter(tenant_id=self.tenant_id), *args, **kwargs)

    save.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


__all__ = [
    "TenantForeignKey",
    "TenantManager",
    "TenantModel",
    "TenantQuerySet",
    "UUIDModel",
    "adopt",
    "check_owner",
    "scoped_manager",
    "tenant_key",
]
