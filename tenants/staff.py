"""Which tenants a member of staff may look at, and which one they are looking at now."""

from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest

from tenants.models import Membership, Tenant, User

SEE_ALL = "tenants.see_all_tenants"
_ATTRIBUTE = "staff_scope"


@dataclass(frozen=True, slots=True)
class StaffScope:
    """What a staff page shows, and between what its reader may choose."""

    tenant: Tenant | None  # None: all tenants are in view
    member_of: frozenset[UUID] | None  # None: this person may see every tenant

    @property
    def sees_all(self) -> bool:
        return self.member_of is None

    def choices(self) -> QuerySet[Tenant]:
        return Tenant.objects.all() if self.member_of is None else Tenant.objects.filter(pk__in=self.member_of)


def resolve_scope(*, user: User, chosen: UUID | None) -> StaffScope | None:
    """The chosen tenant if it is still allowed, else everything, else the person's first; None when there is none.

    Ask inside `all_tenants()`, for memberships are tenants' rows.
    """
    member_of = None if user.is_superuser or user.has_perm(SEE_ALL) else _memberships(user)
    choices = StaffScope(tenant=None, member_of=member_of).choices()
    tenant = choices.filter(pk=chosen).first() if chosen else None
    if tenant is None and member_of is not None:
        tenant = choices.first()
        if tenant is None:
            return None
    return StaffScope(tenant=tenant, member_of=member_of)


def _memberships(user: User) -> frozenset[UUID]:
    return frozenset(Membership.objects.filter(user=user).values_list("tenant_id", flat=True))


def remember_scope(request: HttpRequest, scope: StaffScope) -> None:
    setattr(request, _ATTRIBUTE, scope)


def staff_scope(request: HttpRequest) -> StaffScope | None:
    """The scope the middleware entered for this request; None for people who are no staff."""
    scope: StaffScope | None = getattr(request, _ATTRIBUTE, None)
    return scope


def staff_user(request: HttpRequest) -> User:
    """The person who asks. Raises PermissionDenied for nobody."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
