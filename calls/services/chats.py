"""Conversations in writing: begun, written into, and read until the agent has answered."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from agents.models import Agent, AgentVersion
from calls import wakeups
from calls.clock import database_now
from calls.errors import CallEndedError, NotAChatError
from calls.models import Call, CallCommand, Turn
from calls.services.placing import place_call

WAITS: Final = timedelta(minutes=5)
"""How long a chat that nobody takes waits before it is canceled."""

LONGEST_MESSAGE: Final = 2000
_LOOK_S: Final = 0.15


@transaction.atomic
def start_chat(
    *,
    agent: Agent,
    version: AgentVersion | None = None,
    message: str = "",
    variables: Mapping[str, object] | None = None,
    overrides: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[Call, CallCommand | None]:
    """Begin a chat of the tenant in scope, with the caller's first message if there is one.

    Raises what `place_call` does.
    """
    call = place_call(
        agent=agent,
        kind=Call.Kind.CHAT,
        version=version,
        variables=variables,
        overrides=overrides,
        metadata=metadata,
        not_after=database_now() + WAITS,
    )
    return call, write_message(call, message) if message else None


@transaction.atomic
def write_message(call: Call, text: str) -> CallCommand:
    """Hand the agent what the caller has written. Raises NotAChatError, and CallEndedError once the chat is over."""
    if call.kind != Call.Kind.CHAT:
        raise NotAChatError(f"{call.public_id} is a call of kind {call.kind}. Messages are written into chats.")
    if Call.objects.select_for_update(no_key=True, of=("self",)).get(pk=call.pk).status == Call.Status.ENDED:
        raise CallEndedError("The chat has ended already. Start another one.")
    kind = CallCommand.Kind.MESSAGE
    message: CallCommand = CallCommand.objects.create(call=call, kind=kind, text=text, created_at=database_now())
    wakeups.wake_on_commit(wakeups.COMMANDS, call.pk)
    return message


def wait_for_answer(message: CallCommand, *, timeout_s: float) -> CallCommand:
    """The message as it is when it is answered, its chat has ended, or the time is up; outside of transactions only."""
    until = time.monotonic() + timeout_s
    rows = CallCommand.objects.select_related("call")
    while True:
        seen: CallCommand = rows.get(pk=message.pk)
        if seen.answered_at or seen.call.status == Call.Status.ENDED or time.monotonic() >= until:
            return seen
        time.sleep(_LOOK_S)


def turns_of(message: CallCommand) -> QuerySet[Turn]:
    """The message itself and what the agent has said to it; none before it is answered."""
    turns: QuerySet[Turn] = Turn.objects.filter(call_id=message.call_id)
    if message.turn is None:
        return turns.none()
    later = turns.filter(sequence__gt=message.turn, speaker=Turn.Speaker.CALLER).order_by("sequence")
    following = later.values_list("sequence", flat=True).first()
    turns = turns.filter(sequence__gte=message.turn).order_by("sequence")
    return turns if following is None else turns.filter(sequence__lt=following)
