"""Who may switch features of tenants, and of which."""

from django.db.models import QuerySet
from django.http import HttpRequest

from tenants.models import Tenant
from tenants.staff import staff_scope

SWITCH = "tenants.change_tenantfeature"


def tenants_in_view(request: HttpRequest) -> QuerySet[Tenant]:
    """The tenant chosen in the header, or all of them where all may be seen; those that are purged have no features."""
    scope = staff_scope(request)
    if scope is None:
        return Tenant.objects.none()
    tenants = Tenant.objects.filter(pk=scope.tenant.pk) if scope.tenant else scope.choices()
    return tenants.exclude(status=Tenant.Status.PURGED)
