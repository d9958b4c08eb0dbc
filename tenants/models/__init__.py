from tenants.models.base import TenantForeignKey, TenantManager, TenantModel, TenantQuerySet, UUIDModel, scoped_manager, tenant_key
from tenants.models.tenant import Membership, Tenant, User

__all__ = [
    "Membership",
    "Tenant",
    "TenantForeignKey",
    "TenantManager",
    "TenantModel",
    "TenantQuerySet",
    "UUIDModel",
    "User",
    "scoped_manager",
    "tenant_key",
]
