"""Making, checking and revoking API keys.

A key reads `vp_live_<prefix>_<secret>`: the prefix finds its row, the whole of it is compared by SHA-256.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from time import monotonic
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from tenants.caller import Caller
from tenants.errors import ForbiddenScopeError, InvalidKeyError, NotAnAgencyKeyError
from tenants.models import ApiKey, Tenant, TenantLimits, User
from tenants.roles import SCOPES, unknown_scopes
from tenants.services import audit
from tenants.services.limits import effective
from voiceplatform.lib.ids import InvalidIdError, from_public_id, to_public_id

KEPT_FOR_S: Final = 3.0
USE_NOTED_EVERY: Final = timedelta(minutes=1)
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_MOST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class NewKey:
    """`secret` is the whole key; it is never to be had again."""

    row: ApiKey
    secret: str


@transaction.atomic
def create_key(
    *,
    name: str,
    scopes: Iterable[str],
    livemode: bool = False,
    expires_at: datetime | None = None,
    allowed_cidrs: Iterable[str] = (),
    actor: User | None = None,
    may_grant: frozenset[str] = frozenset(SCOPES),
) -> NewKey:
    """A key of the tenant in scope. Raises ForbiddenScopeError, and ValidationError naming the field."""
    wanted = sorted(set(scopes))
    if unknown := unknown_scopes(wanted):
        raise ForbiddenScopeError(f"There is no scope {', '.join(unknown)}. Known: {', '.join(SCOPES)}.")
    if beyond := sorted(set(wanted) - may_grant):
        raise ForbiddenScopeError(f"You cannot give what you do not have: {', '.join(beyond)}.")
    prefix = "".join(secrets.choice(_LETTERS) for _ in range(12))
    secret = f"vp_{'live' if livemode else 'test'}_{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKey(
        name=name.strip(),
        prefix=prefix,
        sha256=_digest(secret),
        livemode=livemode,
        scopes=wanted,
        allowed_cidrs=[_network(cidr) for cidr in allowed_cidrs],
        expires_at=_future(expires_at),
        created_by=actor,
    )
    row.clean_fields(exclude=["tenant"])
    row.save(force_insert=True)
    audit.record(action="api_key.created", target=row, actor=actor, fields=["scopes"], data={"livemode": livemode})
    return NewKey(row=row, secret=secret)


@transaction.atomic
def revoke_key(*, key: ApiKey, actor: User | None = None, reason: str = "") -> bool:
    """Refuse the key from now on, everywhere within KEPT_FOR_S; say whether it was still in use."""
    revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    if revoked:
        audit.record(action="api_key.revoked", target=key, actor=actor, fields=["revoked_at"], reason=reason)
        _kept.pop(key.prefix, None)
    return bool(revoked)


def resolve_key(secret: str, *, ip: str | None, act_for: str = "") -> Caller:
    """Who calls with this key from this address. Needs no scope; one look-up, kept for KEPT_FOR_S.

    `act_for` is the header Vp-Tenant: the public id of a customer of the key's agency. Raises InvalidKeyError and
    NotAnAgencyKeyError.
    """
    parts = secret.split("_", 3)
    if len(parts) != 4 or parts[0] != "vp" or parts[1] not in ("live", "test"):
        raise InvalidKeyError("An API key reads vp_live_… or vp_test_….")
    row, tenant_per_minute = _look_up(parts[2])
    # Compared in any case, so that an unknown prefix takes as long as a wrong secret.
    same = hmac.compare_digest(_digest(secret), row.sha256 if row else _digest(""))
    if row is None or not same:
        raise InvalidKeyError("There is no such API key.")
    _check_usable(row, ip)
    return _caller(row, _child(row, act_for) if act_for else row.tenant_id, tenant_per_minute)


def resolve_key_id(key_id: UUID, *, tenant_id: UUID) -> Caller:
    """Who would act for `tenant_id` with this key, if it may still be used. For what a key signed earlier: its networks
    are not asked about. Needs no scope; looked up each time. Raises InvalidKeyError and NotAnAgencyKeyError."""
    row = _with_limit().filter(pk=key_id).first()
    if row is None:
        raise InvalidKeyError("There is no such API key.")
    _check_not_over(row)
    child = _child(row, to_public_id(Tenant.public_prefix, tenant_id)) if tenant_id != row.tenant_id else tenant_id
    return _caller(row, child, row.tenant_per_minute)


def _caller(row: ApiKey, tenant_id: UUID, tenant_per_minute: int) -> Caller:
    return Caller(
        key_id=row.pk,
        key_name=row.name,
        prefix=row.prefix,
        home_id=row.tenant_id,
        tenant_id=tenant_id,
        scopes=frozenset(row.scopes),
        livemode=row.livemode,
        expires_at=row.expires_at,
        per_minute=row.requests_per_minute,
        tenant_per_minute=tenant_per_minute,
    )


def forget_keys() -> None:
    """Look every key up anew."""
    _kept.clear()


_kept: dict[str, tuple[float, ApiKey, int]] = {}


def _look_up(prefix: str) -> tuple[ApiKey | None, int]:
    """The key with this prefix, and how many requests a minute its tenant may make."""
    if (kept := _kept.get(prefix)) and monotonic() < kept[0]:
        return kept[1], kept[2]
    row = _with_limit().filter(prefix=prefix).first()
    if row is None:
        return None, 0
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[prefix] = (monotonic() + KEPT_FOR_S, row, row.tenant_per_minute)
    return row, row.tenant_per_minute


def _with_limit() -> Any:
    limit = TenantLimits.all_objects.filter(tenant=OuterRef("tenant")).values(limit=effective("api_requests_per_minute"))
    return ApiKey.all_objects.annotate(tenant_per_minute=Subquery(limit))


def _check_not_over(row: ApiKey) -> None:
    if row.revoked_at is not None:
        raise InvalidKeyError("This API key has been revoked.")
    if row.expires_at is not None and row.expires_at <= timezone.now():
        raise InvalidKeyError(f"This API key expired at {row.expires_at:%Y-%m-%dT%H:%M:%SZ}.")


def _check_usable(row: ApiKey, ip: str | None) -> None:
    _check_not_over(row)
    if row.allowed_cidrs and not _is_within(ip, row.allowed_cidrs):
        raise InvalidKeyError(f"This API key may not be used from {ip or 'an unknown address'}.")
    _note_use(row, timezone.now())


def _note_use(row: ApiKey, now: datetime) -> None:
    if row.last_used_at is not None and now - row.last_used_at < USE_NOTED_EVERY:
        return
    row.last_used_at = now
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
    ApiKey.all_objects.filter(stale, pk=row.pk).update(last_used_at=now)


def _child(row: ApiKey, public_id: str) -> UUID:
    refusal = NotAnAgencyKeyError(f"This key cannot act for {public_id!r}.")
    if "tenants:act" not in row.scopes:
        raise NotAnAgencyKeyError("The header Vp-Tenant needs the scope tenants:act.")
    try:
        child_id = from_public_id(Tenant.public_prefix, public_id)
    except InvalidIdError as error:
        raise refusal from error
    if child_id != row.tenant_id and not Tenant.objects.filter(pk=child_id, agency_id=row.tenant_id).exists():
        raise refusal
    return child_id


def _is_within(ip: str | None, cidrs: Iterable[str]) -> bool:
    if ip is None:
        return False
    address = ip_address(ip)
    return any(address in ip_network(cidr) for cidr in cidrs)


def _network(cidr: str) -> str:
    try:
        return str(ip_network(cidr.strip()))
    except ValueError as error:
        raise ValidationError({"allowed_cidrs": f"{cidr!r} is no network such as 203.0.113.0/24."}) from error


def _future(at: datetime | None) -> datetime | None:
    if at is not None and at <= timezone.now():
        raise ValidationError({"expires_at": "This moment has passed."})
    return at


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
