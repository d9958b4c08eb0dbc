"""What a job writes down about its call, applied in order and as often as it is sent.

A job sends its journal in batches and sends a batch again when it does not know whether it arrived; when the job is
gone, its host sends what is left. Applying an entry once or several times gives the same rows.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final, TypedDict
from uuid import UUID

import structlog
from django.db import DataError, IntegrityError, transaction
from pydantic import ValidationError

from calls import lifecycle, wakeups
from calls.clock import database_now
from calls.errors import ForeignJobError
from calls.models import Call, CallEvent
from calls.policies import without_content
from calls.resolving import scope_of_call
from calls.services import rows
from calls.services.entries import AnyEntry, FinalizeEntry, StatusEntry, moment, parse_entry
from calls.services.finalizing import finalize_call, keeps_nothing, reprice_call
from calls.services.rows import UnfitEntryError
from voiceplatform.lib.redaction import mask_card_numbers

logger = structlog.get_logger(__name__)

_LONGEST_KEPT: Final = 20_000
# What one entry can be blamed for. A lost connection or a deadlock concerns the whole batch, which is sent again.
_UNFIT: Final = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, DataError, IntegrityError)


@dataclass(frozen=True, slots=True)
class Applied:
    """How many entries were applied, and how many were set aside as `entry_refused` events."""

    applied: int
    refused: int


class _Job(TypedDict):
    call_id: UUID
    job_id: str
    at: datetime


class _Outcome(TypedDict):
    disposition: str
    ended_reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Entry:
    raw: object
    parsed: AnyEntry


def apply_entries(*, call_id: UUID, job_id: str, entries: Sequence[Mapping[str, Any]]) -> Applied:
    """Apply a batch in one transaction, in the call's own scope.

    An entry that cannot be stored is kept as an event and does not hold up the others. Raises Call.DoesNotExist and
    ForeignJobError when another job, or none, has claimed the call.
    """
    with scope_of_call(call_id), transaction.atomic():
        # Held until commit: a job and its host may send the same batch at the same moment.
        call = Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call_id)
        if not job_id or call.job_id != job_id:
            raise ForeignJobError(f"job {job_id!r} does not hold {call.public_id}")
        wakeups.tell_news_on_commit(call_id)
        return _Batch(call=call, now=database_now()).apply(entries)


class _Batch:
    def __init__(self, *, call: Call, now: datetime) -> None:
        self.call = call
        self.now = now
        self.refused = 0

    def apply(self, entries: Sequence[object]) -> Applied:
        late = self.call.finalized_at is not None
        if late and keeps_nothing(self.call):
            entries = [without_content(entry) if isinstance(entry, Mapping) else {} for entry in entries]
        usage_arrived = False
        for steps, run in groupby(self._parsed(entries), key=_is_step):
            if steps:
                self._apply_steps(run)
                continue
            kept = list(run)
            usage_arrived |= any(entry.parsed.op in ("usage", "leg") for entry in kept)
            self._apply_facts(kept)
        if late and usage_arrived:
            reprice_call(call_id=self.call.pk, at=self.now)
        return Applied(applied=len(entries) - self.refused, refused=self.refused)

    def _parsed(self, entries: Iterable[object]) -> Iterable[_Entry]:
        for raw in entries:
            try:
                yield _Entry(raw, parse_entry(raw))
            except _UNFIT as error:
                self._refuse(raw, error)

    def _apply_facts(self, entries: list[_Entry]) -> None:
        """Facts of different kinds do not depend on each other's order, so each kind is written at once."""
        by_writer: dict[Callable[..., None], list[_Entry]] = {}
        for entry in entries:
            by_writer.setdefault(rows.WRITERS[entry.parsed.op], []).append(entry)
        for write, group in by_writer.items():
            if not self._try(write, group) and len(group) > 1:
                for entry in group:
                    self._try(write, [entry])

    def _try(self, write: Callable[..., None], group: list[_Entry]) -> bool:
        try:
            with transaction.atomic():
                write(self.call, [entry.parsed for entry in group], self.now)
        except _UNFIT as error:
            if len(group) == 1:
                self._refuse(group[0].raw, error)
            return False
        return True

    def _apply_steps(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            try:
                with transaction.atomic():
                    self._apply_step(entry.parsed)
            except _UNFIT as error:
                self._refuse(entry.raw, error)

    def _apply_step(self, entry: AnyEntry) -> None:
        if isinstance(entry, FinalizeEntry):
            finalize_call(call_id=self.call.pk, job_id=self.call.job_id)
        elif isinstance(entry, StatusEntry):
            self._apply_status(entry)

    def _apply_status(self, entry: StatusEntry) -> None:
        job = _Job(call_id=self.call.pk, job_id=self.call.job_id, at=moment(entry, now=self.now))
        if entry.to != "ended":
            lifecycle.advance(to=Call.Status(entry.to), **job)
            return
        if entry.disposition not in Call.Disposition.values or not entry.ended_reason:
            raise UnfitEntryError("an end needs a known disposition and a reason")
        how = _Outcome(disposition=entry.disposition, ended_reason=entry.ended_reason, detail=entry.detail)
        if not lifecycle.end(**job, **how):
            lifecycle.correct_outcome(**job, **how)

    def _refuse(self, raw: object, error: Exception) -> None:
        self.refused += 1
        text = mask_card_numbers(_as_text(raw))
        problem = _problem(error)
        CallEvent.objects.bulk_create(
            [
                CallEvent(
                    call=self.call,
                    kind="entry_refused",
                    at=self.now,
                    key=hashlib.sha256(text.encode()).hexdigest(),
                    data={"problem": problem, "entry": text[:_LONGEST_KEPT]},
                )
            ],
            ignore_conflicts=True,
        )
        logger.error("a journal entry was refused", call_id=str(self.call.pk), problem=problem)


def _is_step(entry: _Entry) -> bool:
    """A step of the call's life; everything before it must be stored before it is taken."""
    return isinstance(entry.parsed, StatusEntry | FinalizeEntry)


def _as_text(raw: object) -> str:
    try:
        return json.dumps(raw, default=repr)
    except (ValueError, TypeError, RecursionError):
        return f"an unreadable {type(raw).__name__}"


def _problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())[:1000]
    return f"{type(error).__name__}: {error}".splitlines()[0][:1000]
