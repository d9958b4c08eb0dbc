"""What changes for somebody who works for a tenant already."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from tenants.models import Membership, User
from tenants.services import audit


@transaction.atomic
def change_role(*, member: Membership, role: str, actor: User | None = None) -> Membership:
    """Raises ValidationError for an unknown role, and when the tenant would lose its last owner."""
    locked = _lock(member)
    if locked.role == role:
        return locked
    _keep_an_owner(locked)
    locked.role = role
    locked.full_clean(validate_unique=False, validate_constraints=False)
    locked.save(update_fields=["role"])
    data = {"user": locked.user_id, "role": role}
    audit.record(action="member.role_changed", target=locked, actor=actor, fields=["role"], data=data)
    return locked


@transaction.atomic
def remove_member(*, member: Membership, actor: User | None = None) -> None:
    """Raises ValidationError when the tenant would lose its last owner."""
    locked = _lock(member)
    _keep_an_owner(locked)
    audit.record(action="member.removed", target=locked, actor=actor, data={"user": locked.user_id})
    locked.delete()


def _lock(member: Membership) -> Membership:
    """Locks every owner as well, in one order, so that two owners cannot remove each other at the same time."""
    rows = Membership.objects.filter(Q(pk=member.pk) | Q(role=Membership.Role.OWNER)).order_by("pk")
    locked: Membership | None = next((row for row in rows.select_for_update(of=("self",)) if row.pk == member.pk), None)
    if locked is None:
        raise Membership.DoesNotExist("This person does not work for the tenant any more.")
    return locked


def _keep_an_owner(member: Membership) -> None:
    owners = Membership.objects.filter(role=Membership.Role.OWNER)
    if member.role == Membership.Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise ValidationError("The tenant needs at least one owner. Make somebody else an owner first.")
