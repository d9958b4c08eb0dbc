"""Placing calls: what is checked and fixed before anything rings."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from django.db import transaction

from agents.errors import ArchivedAgentError
from agents.models import Agent, AgentVersion
from agents.services import check_variables, compile_version
from calls import lifecycle, wakeups
from calls.clock import database_now
from calls.errors import CallLimitError, CallNotPlacedError, NotPublishedError
from calls.models import Call, ConfigSnapshot, WorkerHost
from tenants.lifecycle import require_new_work
from tenants.models import Tenant, TenantLimits
from tenants.scope import current_tenant_id

Kind: TypeAlias = Call.Kind
Transport: TypeAlias = Call.Transport
_NEVER_LIVE = (Kind.SIMULATED, Kind.CHAT)


@transaction.atomic
def place_call(
    *,
    agent: Agent,
    kind: str,
    version: AgentVersion | None = None,
    variables: Mapping[str, object] | None = None,
    persona: str = "",
    metadata: Mapping[str, Any] | None = None,
    livemode: bool | None = None,
    host: WorkerHost | None = None,
) -> Call:
    """Queue a call of the tenant in scope; with `host` no other host takes it.

    Without `version` the published one is used, and in simulations and chats of an agent that has none, its draft.
    A draft makes no live calls. Raises TenantNotActiveError, CallLimitError, NotPublishedError, ArchivedAgentError,
    InvalidSettingsError for a draft that cannot be published, VariableError, CallNotPlacedError.
    """
    kind = Kind(kind)
    chosen = _version(agent, version, kind)
    live = _livemode(kind, chosen, livemode, persona)
    body = compile_version(chosen)
    values = check_variables(body, variables or {})
    call = Call(
        agent=agent,
        version=chosen,
        kind=kind,
        transport=Transport.LOCAL if kind in _NEVER_LIVE else Transport.LIVEKIT,
        livemode=live,
        persona=persona,
        variables=values,
        metadata=dict(metadata or {}),
        host=host,
    )
    return _queue(call, body=body)


def _queue(call: Call, *, body: Mapping[str, Any]) -> Call:
    tenant = _admit()
    call.snapshot = _snapshot(body)
    call.max_duration_s = body["settings"]["limits"]["max_duration_s"]
    call.currency = tenant.currency
    call.created_at = database_now()
    call.save(force_insert=True)
    lifecycle.announce(call_id=call.pk, status=Call.Status.QUEUED, at=call.created_at)
    if call.transport == Transport.LOCAL and call.host_id is None:
        wakeups.wake_on_commit(wakeups.LOCAL_CALLS, call.pk)
    return call


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


def _admit() -> Tenant:
    """The tenant, locked so that its calls are admitted one at a time; no_key lets rows that refer to it be written."""
    Tenant.objects.select_for_update(no_key=True).get(pk=current_tenant_id())
    tenant = require_new_work()
    allowed = TenantLimits.objects.values_list("max_open_calls", flat=True).get()
    if Call.objects.open().count() >= allowed:
        raise CallLimitError(f"{tenant.name} has {allowed} open calls, as many as its limits allow.")
    return tenant


def _snapshot(body: Mapping[str, Any]) -> ConfigSnapshot:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    snapshot: ConfigSnapshot
    snapshot, _ = ConfigSnapshot.objects.get_or_create(sha256=sha256, defaults={"body": body})
    return snapshot
