"""Keys: made once, found by prefix, refused when they should be."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from tenants.errors import ForbiddenScopeError, InvalidKeyError, NotAnAgencyKeyError
from tenants.models import ApiKey, AuditEvent
from tenants.roles import ROLE_SCOPES, SCOPES
from tenants.scope import tenant_scope
from tenants.services.api_keys import create_key, forget_keys, resolve_key, resolve_key_id, revoke_key


@pytest.fixture(autouse=True)
def _nothing_kept():
    forget_keys()
    yield
    forget_keys()


def test_only_a_digest_of_the_key_is_stored(scope):
    made = create_key(name="CRM", scopes=["calls:read"])
    row = ApiKey.objects.values().get()
    assert made.secret.startswith(f"vp_test_{row['prefix']}_")
    assert made.secret.split("_", 3)[3] not in str(row)
    assert resolve_key(made.secret, ip=None).scopes == {"calls:read"}


@pytest.mark.parametrize(
    "change", ["", "x", "vp_live_", "vp_test_unknownprefix_secret", "sk_test_a_b", "vp_demo_a_b", "vp_test_é_é"]
)
def test_what_is_no_key_is_refused(db, change):
    with pytest.raises(InvalidKeyError):
        resolve_key(change, ip=None)


def test_a_key_with_one_letter_changed_is_refused(scope):
    secret = create_key(name="CRM", scopes=["calls:read"]).secret
    for wrong in (
        secret[:-1],
        secret + "x",
        secret[:-1] + ("a" if secret[-1] != "a" else "b"),
        secret.replace("vp_test", "vp_live"),
    ):
        with pytest.raises(InvalidKeyError):
            resolve_key(wrong, ip=None)


def test_a_revoked_key_is_refused_at_once_here_and_within_seconds_elsewhere(scope, monkeypatch):
    made = create_key(name="CRM", scopes=["calls:read"])
    resolve_key(made.secret, ip=None)
    ApiKey.objects.update(revoked_at=timezone.now())
    resolve_key(made.secret, ip=None)
    monkeypatch.setattr("tenants.services.api_keys.monotonic", lambda: float("inf"))
    with pytest.raises(InvalidKeyError, match="revoked"):
        resolve_key(made.secret, ip=None)


def test_revoking_is_told_once_and_audited(scope, make_user):
    key = create_key(name="CRM", scopes=["calls:read"]).row
    assert revoke_key(key=key, actor=make_user(), reason="Left the company")
    assert not revoke_key(key=key)
    assert [event.action for event in AuditEvent.objects.order_by("id")] == [
        "tenant.created",
        "api_key.created",
        "api_key.revoked",
    ]


def test_a_key_expires(scope):
    made = create_key(name="CRM", scopes=["calls:read"], expires_at=timezone.now() + timedelta(hours=1))
    assert resolve_key(made.secret, ip=None)
    with time_machine.travel(timezone.now() + timedelta(hours=2)), pytest.raises(InvalidKeyError, match="expired at"):
        resolve_key(made.secret, ip=None)


@pytest.mark.parametrize(("ip", "allowed"), [("203.0.113.9", True), ("203.0.114.9", False), ("2001:db8::1", True), (None, False)])
def test_a_key_is_used_from_its_networks_only(scope, ip, allowed):
    made = create_key(name="CRM", scopes=["calls:read"], allowed_cidrs=["203.0.113.0/24", "2001:db8::/32"])
    if allowed:
        assert resolve_key(made.secret, ip=ip)
    else:
        with pytest.raises(InvalidKeyError, match="may not be used from"):
            resolve_key(made.secret, ip=ip)


def test_bad_fields_are_named(scope):
    with pytest.raises(ForbiddenScopeError, match=r"no scope calls:fly"):
        create_key(name="x", scopes=["calls:fly"])
    with pytest.raises(ForbiddenScopeError, match="do not have: calls:write"):
        create_key(name="x", scopes=["calls:write", "calls:read"], may_grant=frozenset({"calls:read"}))
    with pytest.raises(ValidationError, match="no network"):
        create_key(name="x", scopes=["calls:read"], allowed_cidrs=["10.0.0.0/64"])
    with pytest.raises(ValidationError, match="has passed"):
        create_key(name="x", scopes=["calls:read"], expires_at=timezone.now())
    assert not ApiKey.objects.exists()


def test_the_last_use_is_noted_once_a_minute(scope, django_assert_num_queries):
    made = create_key(name="CRM", scopes=["calls:read"])
    with django_assert_num_queries(2):
        resolve_key(made.secret, ip=None)
    with django_assert_num_queries(0):
        resolve_key(made.secret, ip=None)
    assert ApiKey.objects.get().last_used_at


def test_an_agency_acts_for_its_own_customers_only(make_tenant):
    agency, stranger = make_tenant(), make_tenant()
    customer = make_tenant(agency=agency)
    with tenant_scope(agency):
        acting = create_key(name="a", scopes=["tenants:act"]).secret
        plain = create_key(name="b", scopes=["calls:read"]).secret
    assert resolve_key(acting, ip=None, act_for=customer.public_id).tenant_id == customer.pk
    assert resolve_key(acting, ip=None, act_for=agency.public_id).tenant_id == agency.pk
    for secret, other in [(acting, stranger), (plain, customer)]:
        with pytest.raises(NotAnAgencyKeyError):
            resolve_key(secret, ip=None, act_for=other.public_id)
    with pytest.raises(NotAnAgencyKeyError):
        resolve_key(acting, ip=None, act_for="agt_nonsense")


def test_a_key_that_is_gone_acts_for_nobody(scope):
    with pytest.raises(InvalidKeyError):
        resolve_key_id(uuid4(), tenant_id=scope.pk)


def test_roles_grow_by_scopes_that_exist():
    assert ROLE_SCOPES["viewer"] < ROLE_SCOPES["analyst"] < ROLE_SCOPES["operator"] < ROLE_SCOPES["admin"] < ROLE_SCOPES["owner"]
    assert ROLE_SCOPES["owner"] == set(SCOPES)
