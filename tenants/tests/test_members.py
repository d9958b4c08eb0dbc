"""People who work for a tenant: roles change, and one owner always stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from tenants.models import AuditEvent, Membership, Tenant
from tenants.scope import tenant_scope
from tenants.services.members import change_role, remove_member

MakeMember = Callable[..., Membership]


def test_a_role_changes_and_is_recorded(scope: Tenant, make_member: MakeMember) -> None:
    member = make_member(scope)
    for _ in range(2):
        assert change_role(member=member, role="operator").role == "operator"
    assert AuditEvent.objects.get(action="member.role_changed").data == {"user": str(member.user_id), "role": "operator"}
    with pytest.raises(ValidationError):
        change_role(member=member, role="king")
    remove_member(member=member)
    assert Membership.objects.count() == 0
    with pytest.raises(Membership.DoesNotExist):
        remove_member(member=member)


def test_the_last_owner_stays(scope: Tenant, make_member: MakeMember) -> None:
    owner, viewer = make_member(scope, role="owner"), make_member(scope)
    for leave in (lambda: remove_member(member=owner), lambda: change_role(member=owner, role="admin")):
        with pytest.raises(ValidationError, match="at least one owner"):
            leave()
    change_role(member=viewer, role="owner")
    remove_member(member=owner)
    assert [member.role for member in Membership.objects.all()] == ["owner"]


def test_another_tenants_member_is_not_found(tenant: Tenant, other_tenant: Tenant, make_member: MakeMember) -> None:
    theirs = make_member(other_tenant)
    with tenant_scope(tenant), pytest.raises(Membership.DoesNotExist):
        remove_member(member=theirs)


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_remove_each_other(tenant: Tenant, make_member: MakeMember) -> None:
    owners = [make_member(tenant, role="owner") for _ in range(2)]
    together = Barrier(2)

    def leave(member: Membership) -> str:
        together.wait()
        try:
            with tenant_scope(tenant):
                remove_member(member=member)
        except ValidationError:
            return "kept"
        finally:
            connection.close()
        return "left"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, owners)) == ["kept", "left"]
