"""Whom a caller is handed to: which targets of the version, in which order, and what is written down of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.db import Error as DatabaseError

from agents.transfers import Target, TransferPolicy
from calls.policies import HAND_OVER_EVENT
from calls.services.hours import weekly
from calls.services.targets import refused_targets
from calls.windows import is_open, next_opening
from voice_worker.database import in_database
from voice_worker.handing import HandOver, HandsOver, Outcome, Tried
from voice_worker.snapshot import CallSnapshot

logger = structlog.get_logger(__name__)

_ASKS_S: Final = 3.0


class NobodyHereError(Exception):
    """There is no telephone by which anybody could be reached."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is tried, in this order, and who is not."""

    targets: tuple[Target, ...]
    skipped: tuple[Tried, ...]


def plan(policy: TransferPolicy, *, chosen: str, own_phone: str, refused: Collection[str], at: datetime) -> Plan:
    """The target called `chosen` first, then the others by priority; who is closed, refused or the caller is left out."""
    ordered = sorted(policy.targets, key=lambda target: (target.name != chosen, target.priority))
    obstacles = [(target, _obstacle(target, own_phone, refused, at)) for target in ordered]
    return Plan(
        targets=tuple(target for target, obstacle in obstacles if obstacle is None),
        skipped=tuple(Tried(target, obstacle) for target, obstacle in obstacles if obstacle),
    )


def opens_at(target: Target, *, at: datetime) -> datetime | None:
    """When somebody is there again, by the target's own clock; None when nobody is within two weeks."""
    found = next_opening(weekly(target.hours), [target.zone], at)
    return found.astimezone(ZoneInfo(target.zone)) if found else None


class People:
    """The targets of one call's version."""

    def __init__(self, snapshot: CallSnapshot) -> None:
        self._call_id = snapshot.call_id
        self._policy = snapshot.transfers
        self._own_phone = snapshot.phone
        self._by_phone = snapshot.is_by_phone

    async def reach(self, hands: HandsOver, *, chosen: str, reason: str, summary: str) -> HandOver:
        """Hands the caller over to the first who takes them. Raises NobodyHereError."""
        if not self._by_phone:
            raise NobodyHereError
        refused = await refused_now(self._call_id, self._policy.targets)
        made = plan(self._policy, chosen=chosen, own_phone=self._own_phone, refused=refused, at=datetime.now(UTC))
        if not made.targets:
            return HandOver(joined=None, tried=made.skipped)
        # Whoever carries it out goes by priority.
        ranked = [target.model_copy(update={"priority": rank}) for rank, target in enumerate(made.targets)]
        done = await hands.hand_over(targets=ranked, reason=reason, summary=summary)
        return replace(done, tried=[*made.skipped, *done.tried])


async def refused_now(call_id: UUID, targets: Collection[Target]) -> frozenset[str]:
    """Ids of the targets that may not be called any more.

    They were checked when they were saved, so a database that is away now keeps nobody from a person.
    """
    try:
        return await in_database(partial(refused_targets, call_id, targets), timeout_s=_ASKS_S)
    except (DatabaseError, TimeoutError) as error:
        logger.warning("targets were not checked again", error=f"{type(error).__name__}: {error}")
        return frozenset()


def hand_over_entry(done: HandOver, *, reason: str, summary: str) -> Mapping[str, Any]:
    """The journal entry that tells of a hand-over, whether or not anybody took the call."""
    data = {
        "reason": reason,
        "summary": summary,
        "target": _named(done.joined) if done.joined else None,
        "tried": [{**_named(tried.target), "outcome": tried.outcome} for tried in done.tried],
    }
    return {"op": "event", "kind": HAND_OVER_EVENT, "at": datetime.now(UTC).isoformat(), "data": data}


def _obstacle(target: Target, own_phone: str, refused: Collection[str], at: datetime) -> Outcome | None:
    if target.phone == own_phone or target.id in refused:
        return "failed"
    if target.hours and not is_open(weekly(target.hours), [target.zone], at):
        return "closed"
    return None


def _named(target: Target) -> dict[str, str]:
    return {"id": target.id, "name": target.name}
