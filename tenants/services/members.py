"""What changes for somebody who works for a tenant already."""

from django.core.exceptions import ValidationError
from django.db import transaction

from tenants.models import Membership, User
from tenants.services import audit


@transaction.atomic
def change_role(*, member: Membership, role: str, actor: User | None = None) -> Membership:
    """Raises ValidationError for an unknown role, and when the tenant would lose its last owner."""
    locked = Membership.objects.select_for_update(no_key=True, of=("self",)).get(pk=member.pk)
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
    locked = Membership.objects.select_for_update(of=("self",)).get(pk=member.pk)
    _keep_an_owner(locked)
    audit.record(action="member.removed", target=locked, actor=actor, data={"user": locked.user_id})
    locked.delete()


def _keep_an_owner(member: Membership) -> None:
    if member.role != Membership.Role.OWNER:
        return
    # Locked, so that two owners cannot remove each other at the same time.
    others = (
        Membership.objects.select_for_update(no_key=True, of=("self",)).filter(role=Membership.Role.OWNER).exclude(pk=member.pk)
    )
    if not others:
        raise ValidationError("The tenant needs at least one owner. Make somebody else an owner first.")
