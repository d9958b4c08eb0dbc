"""Asking the customer's own system who shall answer, while the phone rings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook

from agents.models import Agent
from calls.clock import database_now
from calls.models import PhoneNumber
from calls.services.gates import refused_kind
from voiceplatform.lib.ids import InvalidIdError, from_public_id, uuid7
from voiceplatform.lib.metadata import MOST_METADATA
from voiceplatform.lib.outbound_http import OutboundError, outbound_client
from voiceplatform.lib.phone import InvalidPhoneError, parse_phone
from voiceplatform.lib.secrets import SecretError

BUDGET_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What the hook wants; empty: whatever the number does by default."""

    agent: Agent | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    reject: bool = False
    forward_to: str = ""


@dataclass(frozen=True, slots=True)
class HookAttempt:
    """`problem` says why the decision is the default one; empty when the hook decided."""

    at: datetime
    duration_ms: int
    decision: Decision
    status: int | None = None
    problem: str = ""

    def told(self) -> dict[str, Any]:
        return {"duration_ms": self.duration_ms, "status": self.status, "problem": self.problem}


class _Wanted(BaseModel):
    """What a hook may answer."""

    model_config = ConfigDict(extra="ignore")

    agent_id: str = ""
    variables: dict[str, str | int | float | bool | None] = Field(default_factory=dict, max_length=50)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=MOST_METADATA)
    reject: bool = False
    forward_to: str = ""


def ask_hook(number: PhoneNumber, caller: str, context: Mapping[str, Any]) -> HookAttempt:
    """Post the question, signed as webhooks are, and read the answer; never raises. Network I/O of at most BUDGET_S.

    Asked: {"type": "call.ringing", "data": {"from", "to", "number_id", "caller"}}. An answer is 200 with a JSON object
    of agent_id, variables, metadata, reject or forward_to, all optional.
    """
    now = database_now()
    data = {"from": caller or None, "to": number.phone, "number_id": number.public_id, "caller": dict(context)}
    body = json.dumps({"type": "call.ringing", "timestamp": now.isoformat(), "data": data})
    message_id = f"ask_{uuid7().hex}"
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "voiceplatform-webhooks/1",
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(int(now.timestamp())),
    }
    client = replace(outbound_client(), deadline_s=BUDGET_S, connect_s=min(BUDGET_S, 1.0))
    try:
        headers["Webhook-Signature"] = Webhook(number.hook_secret.reveal()).sign(message_id, now, body)
        answer = client.post(number.hook_url, body=body.encode(), headers=headers)
    except (OutboundError, SecretError) as error:
        return HookAttempt(at=now, duration_ms=_since(now), decision=Decision(), problem=str(error)[:300])
    told = HookAttempt(at=now, duration_ms=answer.duration_ms, decision=Decision(), status=answer.status)
    if answer.status != 200:
        return replace(told, problem=f"It answered with status {answer.status}; only 200 decides.")
    try:
        return replace(told, decision=_decision(_Wanted.model_validate_json(answer.body)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "body"
        return replace(told, problem=f"Its answer does not fit: {where}: {first['msg']}"[:300])
    except ValueError as error:
        return replace(told, problem=f"Its answer does not fit: {error}"[:300])


def _decision(wanted: _Wanted) -> Decision:
    """Raises ValueError naming what does not fit."""
    forward_to = ""
    if wanted.forward_to:
        try:
            phone = parse_phone(wanted.forward_to)
        except InvalidPhoneError as error:
            raise ValueError(f"forward_to: {error}") from error
        if refused := refused_kind(phone):
            raise ValueError(f"forward_to: {refused}")
        forward_to = phone.e164
    return Decision(
        agent=_agent(wanted.agent_id) if wanted.agent_id else None,
        variables=wanted.variables,
        metadata=wanted.metadata,
        reject=wanted.reject,
        forward_to=forward_to,
    )


def _agent(agent_id: str) -> Agent:
    try:
        found = Agent.objects.filter(pk=from_public_id(Agent.public_prefix, agent_id), archived_at=None).first()
    except InvalidIdError:
        found = None
    if found is None or found.published_version_id is None:
        raise ValueError(f"agent_id: there is no published agent {agent_id[:40]}.")
    agent: Agent = found
    return agent


def _since(moment: datetime) -> int:
    return round((database_now() - moment).total_seconds() * 1000)
