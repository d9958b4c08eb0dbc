"""The reconciler: makes the LiveKit server have what our trunks and numbers say. It may be killed at any point.

A trunk has an outbound trunk there while a number is routed over it; a number has an inbound trunk and a dispatch rule
bound to that. One more rule, which is bound to no trunk, takes everything else. What was found out about that:

- A call to a number without an inbound trunk, and one from an address that its trunk does not allow, matches no trunk.
  The server (1.13) lets it pass and evaluates the rules without a trunk; the rule that is bound to none takes it. So
  no inbound trunk is needed for numbers nobody has. There could be only one for the whole server in any case: two
  inbound trunks without numbers are refused as conflicting, whatever addresses they allow.
- Without such a rule the call is dropped in silence.
- There can be one such rule. One that was made by hand is not replaced; the reconciler says so.

Ids are stored as soon as something has been made, and what was made is found again by its metadata or name, so that an
interrupted run is finished by the next one. What says nothing of us is left alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Q

from calls.clock import database_now
from calls.errors import LiveKitRefusedError, NoLiveKitError
from calls.models import PhoneNumber, SipTrunk
from calls.telephony import likeness
from calls.telephony.client import LiveKit, connected, is_configured
from calls.telephony.holdings import INBOUND, OUTBOUND, RULE, Holdings
from tenants.scope import tenant_scope

logger = structlog.get_logger(__name__)

_LOCK: Final = 0x76706C6B
_NOTED_EVERY: Final = timedelta(minutes=5)
_MOST: Final = 500

Row = SipTrunk | PhoneNumber


@dataclass(slots=True)
class Synced:
    """What a run did. `troubles` are sentences for staff about what could not be done."""

    created: int = 0
    replaced: int = 0
    deleted: int = 0
    troubles: list[str] = field(default_factory=list)


def sync_all() -> Synced | None:
    """Bring the server up to date, once, for all tenants. Needs no scope.

    None when there is no server or another process is at it. Raises LiveKitError when the server cannot be reached or
    refuses our key, which every row then says; what was done until then stays.
    """
    if not is_configured():
        return None
    with _alone() as alone:
        if not alone:
            return None
        try:
            with connected() as livekit:
                return _Reconciler(livekit).run()
        except (LiveKitRefusedError, NoLiveKitError) as error:
            _tell_all(str(error)[:_MOST])
            raise


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether this process is the only one in the block; the lock ends with the connection of one that dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (taken,) = cursor.fetchone()
    try:
        yield taken
    finally:
        if taken:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


class _Reconciler:
    def __init__(self, livekit: LiveKit) -> None:
        self.done = Synced()
        self.drifts: dict[UUID, list[str]] = {}
        self.outbound, self.inbound, self.rules = (Holdings(livekit, kind) for kind in (OUTBOUND, INBOUND, RULE))

    def run(self) -> Synced:
        trunks = list(
            SipTrunk.all_objects.filter(Q(retired_at=None) | ~Q(livekit_id="") | Q(pk__in=self.outbound.owners())).order_by("pk")
        )
        seen = self.inbound.owners() | self.rules.owners()
        known = ~Q(livekit_id="") | ~Q(livekit_rule_id="") | Q(pk__in=seen)
        numbers = PhoneNumber.all_objects.filter(Q(released_at=None) | known).select_related("grant__trunk").order_by("pk")
        routed = [number for number in numbers if number.released_at is None]
        # A number that changes hands is taken from the one before it is given to the other.
        for number in numbers:
            if number.released_at:
                self._each(number, self._take_number)
        for trunk in trunks:
            phones = [number.phone for number in routed if number.grant.trunk_id == trunk.pk and not trunk.retired_at]
            self._each(trunk, lambda row, phones=phones: self._trunk(row, phones))
        for number in routed:
            self._each(number, self._number)
        self._catch_all()
        return self.done

    def _each(self, row: Row, act: Any) -> None:
        """What the server refuses for one row does not hold up the others."""
        with tenant_scope(row.tenant_id):
            try:
                act(row)
            except LiveKitRefusedError as error:
                if error.code == "unauthenticated":
                    raise
                sentence = str(error)[:_MOST]
                self.done.troubles.append(f"{row}: {sentence}")
                if row.sync_error != sentence:
                    _write(row, sync_error=sentence)

    def _trunk(self, row: SipTrunk, phones: list[str]) -> None:
        if not phones:
            self._take(self.outbound, row)
            _forget_sync(row)
            return
        self._put(self.outbound, row, likeness.outbound_trunk(row, phones))
        _note_sync(row)

    def _number(self, row: PhoneNumber) -> None:
        trunk_id = self._put(self.inbound, row, likeness.inbound_trunk(row))
        self._put(self.rules, row, likeness.rule_of(row, trunk_id=trunk_id))
        _note_sync(row)

    def _take_number(self, row: PhoneNumber) -> None:
        self._take(self.rules, row)
        self._take(self.inbound, row)
        _forget_sync(row)

    def _put(self, held: Holdings, row: Row, wanted: Any) -> str:
        """Have the row's one likeness there be as wanted; returns its id."""
        stored_id = getattr(row, held.kind.stored_in)
        item_id, *others = held.of(row) or [""]
        for other in others:
            self._delete(held, other)
        if not item_id:
            if stored_id:
                self._note_drift(row, f"The {held.kind.name} was missing on the LiveKit server.")
            item_id = self._create(held, wanted)
        if item_id != stored_id:
            _write(row, **{held.kind.stored_in: item_id})
        found = held.items[item_id]
        if likeness.differs(found, wanted):
            told = likeness.told_by(found).get(likeness.STAMP)
            if likeness.changed_there(found) and (told or item_id == stored_id):
                self._note_drift(row, likeness.describe(found, wanted))
            self._replace(held, item_id, wanted)
        return item_id

    def _create(self, held: Holdings, wanted: Any) -> str:
        try:
            item_id = held.create(wanted)
        except LiveKitRefusedError as error:
            raise self._explained(error, held, wanted) from error
        self.done.created += 1
        return item_id

    def _replace(self, held: Holdings, item_id: str, wanted: Any) -> None:
        try:
            held.replace(item_id, wanted)
        except LiveKitRefusedError as error:
            raise self._explained(error, held, wanted, but=item_id) from error
        self.done.replaced += 1

    def _delete(self, held: Holdings, item_id: str) -> None:
        held.delete(item_id)
        self.done.deleted += 1

    def _note_drift(self, row: Row, sentence: str) -> None:
        logger.warning("the LiveKit server was changed by somebody else", row=str(row.pk), drift=sentence)
        told = self.drifts.setdefault(row.pk, [])
        told.append(sentence)
        _write(row, drift=" ".join(told)[:_MOST], drifted_at=database_now())

    def _take(self, held: Holdings, row: Row) -> None:
        """Have nothing there for the row."""
        for item_id in held.of(row):
            self._delete(held, item_id)
        if getattr(row, held.kind.stored_in):
            _write(row, **{held.kind.stored_in: ""})

    def _catch_all(self) -> None:
        wanted = likeness.catch_all()
        found = sorted(key for key, rule in self.rules.items.items() if likeness.is_catch_all(rule))
        try:
            for other in found[1:]:
                self._delete(self.rules, other)
            if not found:
                self._create(self.rules, wanted)
            elif likeness.differs(self.rules.items[found[0]], wanted):
                logger.warning("the catch-all rule was changed on the LiveKit server", rule=found[0])
                self._replace(self.rules, found[0], wanted)
        except LiveKitRefusedError as error:
            self.done.troubles.append(f"Calls to numbers that nobody has: {error}")
            logger.warning("the catch-all rule was refused", error=str(error))

    def _explained(self, error: LiveKitRefusedError, held: Holdings, wanted: Any, *, but: str = "") -> LiveKitRefusedError:
        """The refusal, with the name of what is in the way where that was made by hand."""
        for item_id, info in held.items.items():
            if item_id != but and _claims_the_same(info, wanted, held):
                sentence = (
                    f"On the LiveKit server the {held.kind.name} {info.name or 'without a name'!r} ({item_id}), which was not "
                    f"made here, takes the same calls. Delete it there, or take the number out of it; this is tried again."
                )
                return LiveKitRefusedError(error.code, sentence)
        return LiveKitRefusedError(error.code, f"The LiveKit server refused the {held.kind.name}: {error}")


def _claims_the_same(info: Any, wanted: Any, held: Holdings) -> bool:
    if held.kind is INBOUND:
        return bool({_digits(number) for number in info.numbers} & {_digits(number) for number in wanted.numbers})
    if held.kind is RULE:
        return set(info.trunk_ids) >= set(wanted.trunk_ids) and bool(info.trunk_ids) == bool(wanted.trunk_ids)
    return False


def _digits(number: str) -> str:
    """The server takes numbers with and without a plus for the same."""
    return "".join(char for char in number if char.isdigit())


def _tell_all(sentence: str) -> None:
    """What keeps every row from the server is said by all that are not told so yet."""
    for rows in (SipTrunk.all_objects.filter(retired_at=None), PhoneNumber.all_objects.filter(released_at=None)):
        rows.exclude(sync_error=sentence).update(sync_error=sentence)


def _note_sync(row: Row) -> None:
    """The time is written now and then only: nobody needs a write to every row every few seconds."""
    now = database_now()
    if row.sync_error or row.synced_at is None or now - row.synced_at > _NOTED_EVERY:
        _write(row, synced_at=now, sync_error="")


def _forget_sync(row: Row) -> None:
    if row.sync_error or row.synced_at is not None:
        _write(row, synced_at=None, sync_error="")


def _write(row: Row, **fields: Any) -> None:
    type(row).objects.filter(pk=row.pk).update(**fields)
    for name, value in fields.items():
        setattr(row, name, value)
