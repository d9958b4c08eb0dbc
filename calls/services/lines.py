"""Lines: how many calls run over a trunk at once. Counted under row locks, so that no race passes a cap.

Lock order: call, tenant, trunk; then the grants are read.
"""

from dataclasses import dataclass
from typing import Final

from django.db.models import Sum

from calls.clock import database_now
from calls.errors import NoLineError
from calls.models import Call, Leg, LineSlot, SipTrunk, TrunkGrant

NOT_GRANTED: Final = "trunk_not_granted"
STOPPED: Final = "trunk_stopped"
NOT_READY: Final = "trunk_not_ready"
FULL: Final = "no_free_line"
Role = Leg.Role


@dataclass(frozen=True, slots=True)
class Lines:
    """Of a trunk: `kept` of the free ones are for people who call in."""

    taken: int
    channels: int
    kept: int


def count_lines(trunk: SipTrunk) -> Lines:
    """How many calls run over the trunk now, of all tenants that share it."""
    return Lines(taken=_taken(trunk), channels=trunk.channels, kept=_kept_for_inbound(trunk))


def reserve_line(*, call: Call, grant: TrunkGrant, role: str = Role.CALLEE) -> LineSlot:
    """Take a line of the grant's trunk for a leg of `call`, in the transaction that brings the leg about.

    Raises NoLineError. Asking again for a leg that has a line gives that one.
    """
    trunk = SipTrunk.all_objects.select_for_update(no_key=True, of=("self",)).get(pk=grant.trunk_id)
    taken: LineSlot | None = LineSlot.objects.filter(call=call, role=role).first()
    if taken is not None:
        return taken
    check_trunk(grant, trunk, outbound=role != Role.CALLER)
    current = TrunkGrant.objects.get(pk=grant.pk)
    inbound = role == Role.CALLER
    mine = list(LineSlot.objects.filter(grant__trunk_id=trunk.pk).values_list("role", flat=True))
    most = current.channels if inbound else current.channels - current.reserved_inbound
    counted = len(mine) if inbound else sum(each != Role.CALLER for each in mine)
    if len(mine) >= current.channels or counted >= most:
        raise NoLineError(FULL, f"All {most} lines of the account on {trunk.name} are taken.", waits=True)
    if _taken(trunk) >= trunk.channels - (0 if inbound else _kept_for_inbound(trunk)):
        raise NoLineError(FULL, f"All {trunk.channels} lines of {trunk.name} are taken.", waits=True)
    slot: LineSlot = LineSlot.objects.create(grant=current, call=call, role=role, created_at=database_now())
    return slot


def check_trunk(grant: TrunkGrant, trunk: SipTrunk, *, outbound: bool) -> None:
    """Whether the tenant in scope may use the trunk now. Raises NoLineError."""
    tenant = grant.tenant
    is_ours = grant.owner_id in (tenant.pk, tenant.agency_id) and trunk.tenant_id == grant.owner_id
    if grant.revoked_at or trunk.retired_at or not is_ours:
        raise NoLineError(NOT_GRANTED, "The account may not use this trunk any more.", waits=False)
    if outbound and trunk.stopped_at:
        raise NoLineError(STOPPED, f"{trunk.name} is stopped: {trunk.stopped_reason}", waits=False)


def _taken(trunk: SipTrunk) -> int:
    """Of all tenants that share the trunk."""
    taken: int = LineSlot.all_objects.filter(grant__trunk_id=trunk.pk).count()
    return taken


def _kept_for_inbound(trunk: SipTrunk) -> int:
    """Lines that others keep for people who call in and do not use at the moment."""
    grants = TrunkGrant.all_objects.filter(trunk_id=trunk.pk, revoked_at=None)
    kept = grants.aggregate(kept=Sum("reserved_inbound"))["kept"] or 0
    used = LineSlot.all_objects.filter(grant__trunk_id=trunk.pk, role=Role.CALLER).count()
    return max(0, kept - used)
