"""Loads what the independent check of a call looks at."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from calls.models import Call, Message, Recording, Turn
from calls.places import storage_at
from calls.resolving import scope_of_call
from calls.selectors import cost_lines
from voice_worker.far_ends import persona_log
from voice_worker.simulation.check import CheckedCall, PersonaWords, StoredMessage, StoredTurn, StoredUsage
from voice_worker.simulation.log import LoggedCall, read_log


class NotCheckableError(Exception):
    """The call has no persona's log, or has not ended."""


@contextmanager
def checked_call(call_id: UUID) -> Iterator[CheckedCall]:
    """Everything about one call; the recording's file lives as long as the block. Raises Call.DoesNotExist, NotCheckableError."""
    log = _log(call_id)
    with scope_of_call(call_id), tempfile.TemporaryDirectory() as folder:
        call = Call.objects.select_related("snapshot").get(pk=call_id)
        if call.status != Call.Status.ENDED:
            raise NotCheckableError(f"{call.public_id} has not ended yet: it is {call.status}.")
        yield CheckedCall(
            disposition=call.disposition,
            ended_reason=call.ended_reason,
            turns=tuple(StoredTurn(turn.speaker, turn.text) for turn in Turn.objects.filter(call=call)),
            messages=tuple(StoredMessage(row.caller_name, row.phone, row.reason) for row in Message.objects.filter(call=call)),
            usage=_usage(call),
            cost=call.cost,
            knowledge=_knowledge(call.snapshot.body),
            persona=_persona(log),
            recording=_recording(call, Path(folder)),
        )


def _log(call_id: UUID) -> LoggedCall:
    path = persona_log(call_id)
    if not path.is_file():
        raise NotCheckableError(
            f"There is no log of a simulated caller at {path}. Only simulated calls of this machine can be checked."
        )
    return read_log(path)


def _persona(log: LoggedCall) -> PersonaWords:
    wants_message = "message" in log.header.get("goals", {})
    return PersonaWords(
        lines=tuple(entry["text"] for entry in log.spoken),
        name=log.header["name"] if wants_message else "",
        phone=log.header["phone"] if wants_message else "",
    )


def _usage(call: Call) -> tuple[StoredUsage, ...]:
    return tuple(
        StoredUsage(
            kind=line.kind,
            unit=line.unit,
            quantity=line.quantity,
            cost=line.cost,
            rate_price=line.price,
            rate_per=line.per,
        )
        for line in cost_lines(call)
    )


def _knowledge(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (*body["settings"]["facts"], *body["settings"]["instructions"].splitlines())


def _recording(call: Call, folder: Path) -> Path | None:
    """The stored file, or the one its host has yet to hand in."""
    row = Recording.objects.filter(call=call).exclude(state=Recording.State.LOST).first()
    if row is None:
        return None
    if row.state == Recording.State.SPOOLED:
        return Path(row.spool_path)
    copy = folder / "recording.ogg"
    with storage_at(row.place).open(row.file) as stored:
        copy.write_bytes(stored.read())
    return copy
