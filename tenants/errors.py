"""Errors of the tenants app."""


class TenantsError(Exception):
    """Base of everything this app raises on purpose."""


class NoTenantScopeError(TenantsError):
    """A tenant's rows were asked for while no tenant, or another one, was in scope."""


class TenantNotActiveError(TenantsError):
    """The tenant is suspended or closing: no new work begins."""
