"""Placing calls: what is checked and fixed before anything rings."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Required, TypeAlias, TypedDict, Unpack

from django.db import transaction

from agents.errors import ArchivedAgentError
from agents.models import Agent, AgentVersion
from agents.services import check_variables, compile_version, override_settings
from calls import lifecycle, wakeups
from calls.clock import database_now
from calls.errors import CallLimitError, CallNotPlacedError, NotPublishedError
from calls.models import Call, ConfigSnapshot, WorkerHost
from calls.services.timing import check_times
from calls.telephony.names import WEB_PREFIX
from tenants.lifecycle import require_new_work
from tenants.models import Tenant
from tenants.scope import current_tenant_id
from tenants.services.limits import effective_limits

Kind: TypeAlias = Call.Kind
Transport: TypeAlias = Call.Transport
_NEVER_LIVE = (Kind.SIMULATED, Kind.CHAT)
LONGEST_CHAT_S: Final = 7200
"""People who write take their time, so a chat is not bound by the length of a phone call."""


class Asked(TypedDict, total=False):
    """What a call is placed with; see `plan_call`."""

    agent: Required[Agent]
    kind: Required[str]
    version: AgentVersion | None
    variables: Mapping[str, object] | None
    overrides: Mapping[str, Any] | None
    persona: str
    metadata: Mapping[str, Any] | None
    livemode: bool | None
    not_before: datetime | None
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that may be placed and is not stored yet, with the document it will run on."""

    call: Call
    body: Mapping[str, Any]


@transaction.atomic
def place_call(*, host: WorkerHost | None = None, **asked: Unpack[Asked]) -> Call:
    """Queue a call of the tenant in scope; with `host` no other host takes it.

    Raises what `plan_call` does, TenantNotActiveError and CallLimitError.
    """
    plan = plan_call(**asked)
    plan.call.host = host
    return queue_call(plan)


def plan_call(
    *,
    agent: Agent,
    kind: str,
    version: AgentVersion | None = None,
    variables: Mapping[str, object] | None = None,
    overrides: Mapping[str, Any] | None = None,
    persona: str = "",
    metadata: Mapping[str, Any] | None = None,
    livemode: bool | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Plan:
    """Check what a call of the tenant in scope is asked for; nothing is written.

    Without `version` the published one is used, and in simulations and chats of an agent that has none, its draft.
    A draft makes no live calls. Raises NotPublishedError, ArchivedAgentError, VariableError, InvalidCallError for times
    that do not fit, InvalidSettingsError for overrides that do not and for a draft that cannot be published, and else
    CallNotPlacedError.
    """
    kind = Kind(kind)
    chosen = _version(agent, version, kind)
    live = _livemode(kind, chosen, livemode, persona)
    body = override_settings(compile_version(chosen), overrides or {}, version=chosen)
    times = check_times(not_before=not_before, not_after=not_after, now=database_now())
    call = Call(
        agent=agent,
        version=chosen,
        kind=kind,
        transport=Transport.LOCAL if kind in _NEVER_LIVE else Transport.LIVEKIT,
        livemode=live,
        persona=persona,
        variables=check_variables(body, variables or {}),
        overrides=dict(overrides or {}),
        metadata=dict(metadata or {}),
        not_before=times.not_before,
        not_after=times.not_after,
    )
    call.room = f"{WEB_PREFIX}{call.pk.hex}" if kind is Kind.WEB else ""
    return Plan(call=call, body=body)


@transaction.atomic
def queue_call(plan: Plan) -> Call:
    """Store a planned call. Raises TenantNotActiveError and CallLimitError."""
    tenant = admit()
    call, body = plan.call, plan.body
    call.snapshot = snapshot_of(body)
    call.max_duration_s = _longest_s(call, body)
    call.currency = tenant.currency
    call.created_at = database_now()
    call.save(force_insert=True)
    lifecycle.announce(call_id=call.pk, status=Call.Status.QUEUED, at=call.created_at)
    if call.transport == Transport.LOCAL and call.host_id is None and call.not_before is None:
        wakeups.wake_on_commit(wakeups.LOCAL_CALLS, call.pk)
    return call


def _longest_s(call: Call, body: Mapping[str, Any]) -> int:
    if call.kind == Kind.CHAT and "max_duration_s" not in call.overrides:
        return LONGEST_CHAT_S
    longest: int = body["settings"]["limits"]["max_duration_s"]
    return longest


def _version(agent: Agent, version: AgentVersion | None, kind: Kind) -> AgentVersion:
    if agent.tenant_id != current_tenant_id():
        raise CallNotPlacedError("There is no such agent.")
    if agent.archived_at is not None:
        raise ArchivedAgentError(f"{agent.name} is archived. Restore it first.")
    if version is not None:
        if version.tenant_id != agent.tenant_id or version.agent_id != agent.pk:
            raise CallNotPlacedError(f"{agent.name} has no such version.")
        return version
    if agent.published_version is not None:
        return agent.published_version
    draft: AgentVersion | None = agent.versions.drafts().first() if kind in _NEVER_LIVE else None
    if draft is None:
        raise NotPublishedError(f"{agent.name} has no published version. Publish one first.")
    return draft


def _livemode(kind: Kind, version: AgentVersion, wanted: bool | None, persona: str) -> bool:
    if kind is Kind.INBOUND:
        raise CallNotPlacedError("An inbound call is received, not placed.")
    if persona and kind is not Kind.SIMULATED:
        raise CallNotPlacedError("Only a simulated call has a persona.")
    possible = version.is_published and kind not in _NEVER_LIVE
    if wanted and not possible:
        raise NotPublishedError("Drafts, simulations and chats make test calls only.")
    return possible if wanted is None else wanted


def take_turns() -> Tenant:
    """The tenant, locked so that its calls are admitted one at a time. Raises TenantNotActiveError."""
    # With no_key rows that refer to it can be written meanwhile.
    Tenant.objects.select_for_update(no_key=True).get(pk=current_tenant_id())
    return require_new_work()


def admit() -> Tenant:
    """The tenant, locked as by `take_turns`. Raises TenantNotActiveError and CallLimitError."""
    tenant = take_turns()
    allowed = effective_limits().max_open_calls
    if Call.objects.open().count() >= allowed:
        raise CallLimitError(f"{tenant.name} has {allowed} open calls, as many as its limits allow.")
    return tenant


def snapshot_of(body: Mapping[str, Any]) -> ConfigSnapshot:
    """The row that holds this document; equal ones share it."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    snapshot: ConfigSnapshot
    snapshot, _ = ConfigSnapshot.objects.get_or_create(sha256=sha256, defaults={"body": body})
    return snapshot
