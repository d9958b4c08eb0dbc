from tenants.models.api_key import ApiKey
from tenants.models.audit import AuditEvent
from tenants.models.base import (
    TenantForeignKey,
    TenantManager,
    TenantModel,
    TenantQuerySet,
    UUIDModel,
    scoped_manager,
    tenant_key,
)
from tenants.models.feature import TenantFeature
from tenants.models.job import Job, JobError, JobInput
from tenants.models.limits import TenantLimits
from tenants.models.outbox import OutboxDelivery, OutboxEvent, OutboxSequence
from tenants.models.plan import Plan
from tenants.models.requests import IdempotencyRecord, RequestLog
from tenants.models.secret import EncryptedTextField
from tenants.models.tenant import Membership, Tenant, User
from tenants.models.usage import DefaultRate, Kind, TenantRate, Unit, UsageRecord

__all__ = [
    "ApiKey",
    "AuditEvent",
    "DefaultRate",
    "EncryptedTextField",
    "IdempotencyRecord",
    "Job",
    "JobError",
    "JobInput",
    "Kind",
    "Membership",
    "OutboxDelivery",
    "OutboxEvent",
    "OutboxSequence",
    "Plan",
    "RequestLog",
    "Tenant",
    "TenantFeature",
    "TenantForeignKey",
    "TenantLimits",
    "TenantManager",
    "TenantModel",
    "TenantQuerySet",
    "TenantRate",
    "UUIDModel",
    "Unit",
    "UsageRecord",
    "User",
    "scoped_manager",
    "tenant_key",
]
