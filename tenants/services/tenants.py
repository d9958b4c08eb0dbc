"""Tenants and the people who work for them."""

from django.db import transaction

from tenants.models import Membership, Tenant, TenantLimits, User
from tenants.scope import current_tenant_id, tenant_scope
from tenants.services import audit


@transaction.atomic
def create_tenant(
    *,
    name: str,
    slug: str,
    timezone: str = "UTC",
    currency: str = "USD",
    agency: Tenant | None = None,
    actor: User | None = None,
) -> Tenant:
    """A tenant on trial, with its limits. Raises ValidationError naming the field that does not fit."""
    tenant = Tenant(name=name, slug=slug, timezone=timezone, currency=currency, agency=agency)
    tenant.full_clean()
    tenant.save(force_insert=True)
    with tenant_scope(tenant):
        TenantLimits.objects.create()
        audit.record(action="tenant.created", target=tenant, actor=actor, data={"agency": agency.pk if agency else None})
    return tenant


@transaction.atomic
def add_member(*, user: User, role: str, actor: User | None = None) -> Membership:
    """Let a user work for the tenant in scope. Raises ValidationError for an unknown role or a second membership."""
    member = Membership(user=user, role=role)
    member.tenant_id = current_tenant_id()
    member.full_clean()
    member.save()
    audit.record(action="member.added", target=member, actor=actor, data={"user": user.pk, "role": role})
    return member
