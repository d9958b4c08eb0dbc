"""Actions in a running call, asked for by the tenant's programs or by staff, and carried out by the call's job."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from agents.models import TransferTarget
from calls import settling, wakeups
from calls.clock import database_now
from calls.errors import (
    AgentGoneError,
    CallEndedError,
    InvalidActionError,
    NotAnsweredError,
    NotForThisKindError,
    TooManyActionsError,
    WarmTransferError,
)
from calls.models import Call, CallCommand
from calls.services.commands import request_hang_up
from calls.services.gates import check_target
from tenants.models import User
from tenants.services import audit
from voiceplatform.lib.digits import KEYS

Kind = CallCommand.Kind
NOW, AFTER_SPEECH = "now", "after_speech"
BLIND, WARM = "blind", "warm"
MOST_WAITING: Final = 20
LONGEST_TEXT: Final = 2000
LONGEST_SUMMARY: Final = 500

_PHONES: Final = frozenset({Call.Kind.INBOUND, Call.Kind.OUTBOUND})
_SPOKEN: Final = _PHONES | {Call.Kind.WEB, Call.Kind.SIMULATED}
_ALL: Final = frozenset(Call.Kind)
KINDS: Final[Mapping[Kind, frozenset[Call.Kind]]] = {
    Kind.SAY: _ALL,
    Kind.INSTRUCT: _ALL,
    Kind.HANG_UP: _ALL,
    Kind.MUTE_AGENT: _SPOKEN,
    Kind.UNMUTE_AGENT: _SPOKEN,
    Kind.SEND_DTMF: _PHONES,
    Kind.TRANSFER: _PHONES,
}
"""Which actions there are, and in which calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An action. `text` is what is said, at a transfer and a hang-up before it; of an instruction it is the instruction.

    A transfer is to a `target` in its own mode unless `mode` says another, or blind to the phone `to`. Whoever takes a
    warm one hears the `summary` first.
    """

    kind: Kind
    text: str = ""
    when: str = NOW
    interruptible: bool = True
    digits: str = ""
    to: str = ""
    target: TransferTarget | None = None
    mode: str = ""
    summary: str = ""


@transaction.atomic
def request_action(call: Call, wanted: Wanted, *, actor: User | None = None, reason: str = "") -> CallCommand:
    """Ask the call's job for an action; what becomes of it is told by its row. Refused, nothing is stored.

    Raises NotForThisKindError, InvalidActionError naming the field, WarmTransferError and GateRefusedError for whom the caller
    cannot be put through to, CallEndedError, NotAnsweredError, AgentGoneError and TooManyActionsError.
    """
    if wanted.mode == WARM and call.kind not in _PHONES:
        raise WarmTransferError("A person can be called into phone calls only.")
    if call.kind not in KINDS[wanted.kind]:
        raise NotForThisKindError(f"In a call of kind {call.kind} there is no {wanted.kind}.")
    options = _OPTIONS.get(wanted.kind, _none)(wanted)
    if wanted.kind == Kind.TRANSFER and options["to"] == call.phone:
        field = "target_id" if wanted.target else "to"
        raise InvalidActionError({field: "This is the phone of whoever is in the call already."})
    if wanted.kind == Kind.HANG_UP:
        return _hang_up(call, wanted, actor=actor, reason=reason)
    _require_agent(Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call.pk))
    actions = CallCommand.objects.filter(call=call, taken_at=None, outcome="")
    if actions.count() >= MOST_WAITING:
        raise TooManyActionsError(f"{MOST_WAITING} actions wait for the call's worker already.")
    action: CallCommand = CallCommand.objects.create(
        call=call,
        kind=wanted.kind,
        text=wanted.text,
        options=options,
        actor=actor,
        reason=reason,
        created_at=database_now(),
    )
    audit.record(action=f"call.{wanted.kind}_requested", target=call, actor=actor, data={"action": action.pk}, reason=reason)
    wakeups.wake_on_commit(wakeups.COMMANDS, call.pk)
    return action


def _hang_up(call: Call, wanted: Wanted, *, actor: User | None, reason: str) -> CallCommand:
    asked = request_hang_up(call, actor=actor, reason=reason, last_words=wanted.text)
    if asked is None:
        now = database_now()
        asked = CallCommand.objects.create(call=call, kind=Kind.HANG_UP, actor=actor, reason=reason, created_at=now)
        settling.settle(asked, outcome=settling.DONE, at=now)
        asked.refresh_from_db()
    return asked


def _require_agent(call: Call) -> None:
    if call.status == Call.Status.ENDED:
        raise CallEndedError(f"{call.public_id} has ended already.")
    if call.status == Call.Status.HANDED_OVER:
        raise AgentGoneError("The caller has been handed over to a person; there is no agent in the call any more.")
    if call.status != Call.Status.IN_PROGRESS:
        raise NotAnsweredError(f"Nobody has answered the call yet; it is {call.get_status_display()}.")


def _none(_wanted: Wanted) -> dict[str, Any]:
    return {}


def _say(wanted: Wanted) -> dict[str, Any]:
    _require_text(wanted)
    if wanted.when not in (NOW, AFTER_SPEECH):
        raise InvalidActionError({"when": f"{NOW} or {AFTER_SPEECH}."})
    return {"when": wanted.when, "interruptible": wanted.interruptible}


def _instruct(wanted: Wanted) -> dict[str, Any]:
    _require_text(wanted)
    return {}


def _send_dtmf(wanted: Wanted) -> dict[str, Any]:
    if not KEYS.fullmatch(wanted.digits):
        raise InvalidActionError({"digits": "1 to 32 of 0-9, *, # and w, which waits half a second."})
    return {"digits": wanted.digits}


def _transfer(wanted: Wanted) -> dict[str, Any]:
    target = wanted.target
    if (target is None) == (not wanted.to):
        raise InvalidActionError({"target_id": "Give a target, or a phone as `to`."})
    mode = wanted.mode or (target.mode if target else BLIND)
    if mode not in (BLIND, WARM):
        raise InvalidActionError({"mode": f"{BLIND} or {WARM}."})
    if mode == WARM and target is None:
        raise WarmTransferError("Only a target can be told about the caller first. Give a target_id, or use the mode blind.")
    if wanted.summary and mode != WARM:
        raise InvalidActionError({"summary": f"Nobody hears it unless the mode is {WARM}."})
    if target and not target.enabled:
        raise InvalidActionError({"target_id": f"{target.name} is switched off."})
    if target and target.digits and mode == BLIND:
        raise InvalidActionError({"mode": f"{target.name} has keys to press, which needs {WARM}."})
    verdict = check_target(phone=target.phone if target else wanted.to, now=database_now())
    verdict.require()
    told = {"target": target.as_target().model_dump(mode="json") | {"mode": mode}} if target else {}
    return {"to": verdict.phone, "mode": mode, "summary": wanted.summary, **told}


def _require_text(wanted: Wanted) -> None:
    if not wanted.text.strip():
        raise InvalidActionError({"text": "Say what."})


_OPTIONS: Final[Mapping[Kind, Callable[[Wanted], dict[str, Any]]]] = {
    Kind.SAY: _say,
    Kind.INSTRUCT: _instruct,
    Kind.SEND_DTMF: _send_dtmf,
    Kind.TRANSFER: _transfer,
}
