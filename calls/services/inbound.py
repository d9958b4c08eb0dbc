"""Somebody calls: from the number to its tenant, to who answers, to a call in the ledger."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from agents.models import Agent
from agents.services import compile_version, lenient_variables
from calls import lifecycle
from calls.clock import database_now
from calls.errors import CallLimitError, CallNotPlacedError, NoLineError
from calls.models import Call, CallEvent, Leg, PhoneNumber, ProviderEvent
from calls.services.history import caller_context
from calls.services.inbound_hook import Decision, HookAttempt, ask_hook
from calls.services.lines import reserve_line
from calls.services.numbers import NOBODY, Route, route
from calls.services.placing import admit, snapshot_of
from tenants.scope import tenant_scope
from voiceplatform.lib.redaction import mask_phone_numbers

NOT_IN_SERVICE: Final = "The number you have dialed is not in service. Goodbye."
SUSPENDED: Final = "I am sorry, this number takes no calls at the moment. Goodbye."
ALL_BUSY: Final = "I am sorry, all our lines are busy. Please call again in a few minutes. Goodbye."
NOT_REACHED: Final = "I am sorry, we could not put you through. Please call again later. Goodbye."
STRAYED_NUMBER: Final = "nobody_has_the_number"
STRAYED_AGENT: Final = "the_number_has_no_agent"


@dataclass(frozen=True, slots=True)
class Ringing:
    """What the network says of a call that rings. `caller` is empty when the number is withheld."""

    room: str
    caller: str
    called: str
    carrier_id: str
    identity: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the job does: hold `call_id`, put the caller through, speak a sentence in a voice of these settings, or nothing."""

    call_id: UUID | None = None
    forward_to: str = ""
    sentence: str = ""
    speaking: Mapping[str, Any] = field(default_factory=dict)


def receive_call(*, number_id: UUID | None, ringing: Ringing, is_full: bool = False) -> Answer:
    """Find out who answers, and write the call down. Asks the number's hook, if it has one. Needs no scope.

    Asking again for a room gives the same call. `is_full`: the host has no place left but this.
    """
    number = number_id and PhoneNumber.all_objects.filter(pk=number_id, released_at=None).select_related("tenant").first()
    if not number:
        _note_stray(ringing, STRAYED_NUMBER)
        return Answer(sentence=NOT_IN_SERVICE)
    with tenant_scope(number.tenant_id):
        if (known := Call.objects.filter(room=ringing.room).first()) is not None:
            return Answer() if known.status == Call.Status.ENDED else Answer(call_id=known.pk)
        now = database_now()
        if not number.tenant.takes_new_work:
            return _refuse(number, ringing, Decision(), ("blocked", "suspended"), SUSPENDED)
        attempt = ask_hook(number, ringing.caller, caller_context(ringing.caller)) if number.hook_url and not is_full else None
        decision = attempt.decision if attempt else Decision()
        answer = _decided(number, ringing, decision, is_full=is_full, at=now)
        if attempt:
            _note_attempt(ringing.room, attempt)
        return answer


def _decided(number: PhoneNumber, ringing: Ringing, decision: Decision, *, is_full: bool, at: datetime) -> Answer:
    found = _route(number, decision, at)
    if decision.reject:
        return _refuse(number, ringing, decision, ("rejected", "rejected_by_hook"), "")
    if is_full:
        return _refuse(number, ringing, decision, ("failed", "no_capacity"), ALL_BUSY)
    if found.sentence:
        how = ("failed", "nobody_answers") if found.sentence == NOBODY else ("completed", "closed")
        return _refuse(number, ringing, decision, how, found.sentence)
    agent = found.agent or _some_agent(number)
    if agent is None:
        return Answer(forward_to=found.forward_to)
    try:
        call = _store(number, agent, ringing, decision)
    except (NoLineError, CallLimitError):
        return _refuse(number, ringing, decision, ("failed", "no_capacity"), ALL_BUSY)
    return Answer(call_id=call.pk, forward_to=found.forward_to, sentence=NOT_REACHED if found.forward_to else "")


def _route(number: PhoneNumber, decision: Decision, at: datetime) -> Route:
    if decision.forward_to:
        return Route(forward_to=decision.forward_to)
    return Route(agent=decision.agent) if decision.agent else route(number, at=at)


@transaction.atomic
def _store(number: PhoneNumber, agent: Agent, ringing: Ringing, decision: Decision, *, counts: bool = True) -> Call:
    """Raises CallNotPlacedError: CallLimitError, NoLineError; then nothing is stored."""
    if counts:
        admit()
    call = _ringing_call(number, agent, ringing, decision)
    call.save(force_insert=True)
    if counts:
        reserve_line(call=call, grant=number.grant, role=Leg.Role.CALLER)
    now = call.created_at
    lifecycle.announce(call_id=call.pk, status=Call.Status.RINGING, at=now)
    Leg.objects.create(
        call=call,
        role=Leg.Role.CALLER,
        identity=ringing.identity,
        phone=ringing.caller,
        carrier_id=ringing.carrier_id,
        started_at=now,
        ringing_at=now,
    )
    return call


def _ringing_call(number: PhoneNumber, agent: Agent, ringing: Ringing, decision: Decision) -> Call:
    version = agent.published_version
    if version is None:
        raise CallNotPlacedError(f"{agent.name} has no published version.")
    body = compile_version(version)
    return Call(
        agent=agent,
        version=version,
        snapshot=snapshot_of(body),
        kind=Call.Kind.INBOUND,
        transport=Call.Transport.LIVEKIT,
        livemode=True,
        phone=ringing.caller,
        number=number,
        grant_id=number.grant_id,
        room=ringing.room,
        status=Call.Status.RINGING,
        context=caller_context(ringing.caller),
        variables=lenient_variables(body, decision.variables),
        metadata=dict(decision.metadata),
        max_duration_s=body["settings"]["limits"]["max_duration_s"],
        currency=number.tenant.currency,
        created_at=database_now(),
    )


def _refuse(number: PhoneNumber, ringing: Ringing, decision: Decision, how: tuple[str, str], sentence: str) -> Answer:
    """A call that nobody holds is in the ledger all the same, if there is an agent it would have been for."""
    agent = decision.agent or _some_agent(number)
    if agent is None:
        _note_stray(ringing, STRAYED_AGENT)
        return Answer(sentence=sentence)
    with transaction.atomic():
        call = _store(number, agent, ringing, decision, counts=False)
        lifecycle.end(call_id=call.pk, disposition=how[0], ended_reason=how[1], at=database_now())
    return Answer(sentence=sentence, speaking=call.snapshot.body["settings"]["speaking"])


def _some_agent(number: PhoneNumber) -> Agent | None:
    for agent in (number.agent, number.closed_agent):
        if agent is not None and agent.published_version_id is not None:
            return agent
    return None


def _note_stray(ringing: Ringing, why: str) -> None:
    """A call that belongs to nobody's ledger, once for its room. Who called is kept only so far as it can be told apart."""
    now = database_now()
    facts = {"kind": ProviderEvent.STRAY, "room": ringing.room, "at": now, "received_at": now, "handled_at": now}
    facts["body"] = {"called": ringing.called, "caller": mask_phone_numbers(ringing.caller), "why": why}
    key = hashlib.sha256(ringing.room.encode()).hexdigest()
    ProviderEvent.objects.get_or_create(provider="livekit", event_id=f"stray {key}", defaults=facts)


def note_heard(*, room: str, answered_at: datetime, ended_at: datetime) -> None:
    """A caller heard a sentence or was put through: the carrier bills that as well. Needs no scope."""
    call = Call.all_objects.filter(room=room).first()
    if call is None:
        return
    with tenant_scope(call.tenant_id):
        legs = Leg.objects.filter(call=call, role=Leg.Role.CALLER)
        legs.filter(answered_at=None).update(answered_at=Greatest(Value(answered_at), F("started_at")))
        legs.filter(ended_at=None).update(ended_at=Greatest(Value(ended_at), F("answered_at")), end_reason="agent_hung_up")


def _note_attempt(room: str, attempt: HookAttempt) -> None:
    call = Call.objects.filter(room=room).first()
    if call is not None:
        CallEvent.objects.create(call=call, kind="inbound_hook", at=attempt.at, data=attempt.told())
