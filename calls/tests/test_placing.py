import hashlib
import json
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from redis import Redis

from agents import services as agents_services
from agents.errors import ArchivedAgentError, InvalidSettingsError, MissingVariableError, UnknownVariableError
from agents.models import Agent
from calls import wakeups
from calls.errors import CallLimitError, CallNotPlacedError, NotPublishedError
from calls.models import Call, CallEvent, ConfigSnapshot
from calls.services import end_call, place_call
from calls.tests.racing import race
from tenants import lifecycle as tenant_lifecycle
from tenants.errors import TenantNotActiveError
from tenants.models import OutboxEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope

MakeAgent = Callable[..., Agent]
Make = Callable[..., Call]


def nothing_stored() -> bool:
    return not (Call.objects.exists() or CallEvent.objects.exists() or OutboxEvent.objects.filter(topic="call.queued").exists())


def test_a_placed_call_is_queued_with_what_it_runs_on(make_agent: MakeAgent) -> None:
    agent = make_agent(settings={"limits": {"max_duration_s": 120, "duration_warning_s": 10}})
    call = place_call(agent=agent, kind="simulated", persona="chatty", metadata={"ticket": 7})
    assert (call.status, call.transport, call.livemode, call.max_duration_s) == ("queued", "local", False, 120)
    assert call.version == agent.published_version
    text = json.dumps(call.snapshot.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert call.snapshot.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert call.snapshot.body["settings"]["limits"]["max_duration_s"] == 120
    assert [event.kind for event in CallEvent.objects.filter(call=call)] == ["queued"]
    assert OutboxEvent.objects.filter(topic="call.queued", object_id=call.pk).count() == 1
    assert call.public_id.startswith("call_")


def test_calls_with_the_same_configuration_share_its_snapshot(make_agent: MakeAgent) -> None:
    agent = make_agent()
    place_call(agent=agent, kind="simulated")
    place_call(agent=agent, kind="simulated")
    assert ConfigSnapshot.objects.count() == 1
    agents_services.start_draft(agent=agent)
    place_call(agent=agent, kind="simulated", version=agent.versions.drafts().get())
    assert ConfigSnapshot.objects.count() == 2


def test_an_agent_that_was_never_published_is_simulated_with_its_draft_only(make_agent: MakeAgent) -> None:
    agent = make_agent(published=False)
    call = place_call(agent=agent, kind="simulated")
    assert call.snapshot.body["version"]["state"] == "draft"
    with pytest.raises(NotPublishedError, match="no published version"):
        place_call(agent=agent, kind="web")


def test_only_published_versions_make_live_calls(make_agent: MakeAgent) -> None:
    agent = make_agent()
    draft = agents_services.start_draft(agent=agent)
    assert place_call(agent=agent, kind="web").livemode
    assert not place_call(agent=agent, kind="web", livemode=False).livemode
    assert not place_call(agent=agent, kind="web", version=draft).livemode
    for refused in ({"kind": "simulated"}, {"kind": "chat"}, {"kind": "web", "version": draft}):
        with pytest.raises(NotPublishedError, match="test calls only"):
            place_call(agent=agent, livemode=True, **refused)  # type: ignore[arg-type]


def test_variables_are_checked_and_typed(make_agent: MakeAgent) -> None:
    variables = [{"name": "age", "type": "number", "required": True}]
    agent = make_agent(settings={"variables": variables})
    assert place_call(agent=agent, kind="simulated", variables={"age": "42"}).variables == {"age": 42}
    with pytest.raises(MissingVariableError, match="age"):
        place_call(agent=agent, kind="simulated")
    with pytest.raises(UnknownVariableError, match="name"):
        place_call(agent=agent, kind="simulated", variables={"age": 1, "name": "x"})
    assert Call.objects.count() == 1


def test_what_cannot_run_is_refused_and_leaves_nothing(make_agent: MakeAgent) -> None:
    agent, other = make_agent(), make_agent()
    refusals: list[dict[str, Any]] = [
        {"kind": "inbound"},
        {"kind": "web", "persona": "chatty"},
        {"kind": "simulated", "version": other.published_version},
    ]
    for refused in refusals:
        with pytest.raises(CallNotPlacedError):
            place_call(agent=agent, **refused)
    agents_services.archive_agent(agent=agent)
    agent.refresh_from_db()
    with pytest.raises(ArchivedAgentError):
        place_call(agent=agent, kind="simulated")
    assert nothing_stored()


def test_a_draft_that_cannot_be_published_cannot_be_called(make_agent: MakeAgent) -> None:
    agent = make_agent(published=False)
    draft = agent.versions.drafts().get()
    draft.settings = {**draft.settings, "instructions": "Hello {{ nobody }}"}
    draft.save()
    with pytest.raises(InvalidSettingsError):
        place_call(agent=agent, kind="simulated")
    assert nothing_stored()


def test_a_suspended_tenant_places_no_calls(make_agent: MakeAgent, tenant: Tenant) -> None:
    agent = make_agent()
    tenant_lifecycle.advance(tenant=tenant, to=Tenant.Status.SUSPENDED)
    with pytest.raises(TenantNotActiveError):
        place_call(agent=agent, kind="simulated")
    assert nothing_stored()


def test_another_tenants_agent_does_not_exist(other_tenant: Tenant, make_tenant: Callable[..., Tenant]) -> None:
    from agents.testing import make_agent

    with tenant_scope(other_tenant):
        agent = make_agent()
    with tenant_scope(make_tenant()):
        with pytest.raises(CallNotPlacedError, match="no such agent"):
            place_call(agent=agent, kind="simulated")
        assert nothing_stored()


def test_no_more_open_calls_than_the_limit(make_agent: MakeAgent) -> None:
    TenantLimits.objects.update(max_open_calls=2)
    agent = make_agent()
    first, _ = place_call(agent=agent, kind="simulated"), place_call(agent=agent, kind="simulated")
    with pytest.raises(CallLimitError, match="2 open calls"):
        place_call(agent=agent, kind="simulated")
    end_call(call_id=first.pk, disposition="canceled", ended_reason="canceled_by_user")
    place_call(agent=agent, kind="simulated")


def test_the_limit_holds_when_processes_place_calls_at_once(
    database_env: dict[str, str], make_agent: MakeAgent, tenant: Tenant
) -> None:
    TenantLimits.objects.update(max_open_calls=5)
    agent = make_agent()
    body = """
from calls.errors import CallLimitError
placed = 0
with tenant_scope(UUID(given["tenant"])):
    agent = Agent.objects.get(pk=given["agent"])
    for _ in range(4):
        try:
            placing.place_call(agent=agent, kind="simulated")
            placed += 1
        except CallLimitError:
            pass
return placed
"""
    placed = race(database_env, body, processes=4, tenant=tenant.pk, agent=agent.pk)
    assert sum(placed) == Call.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_a_local_call_wakes_the_hosts(make_agent: MakeAgent, settings: Any) -> None:
    agent = make_agent()
    with Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(wakeups.LOCAL_CALLS)
        listening.get_message(timeout=5)
        call = place_call(agent=agent, kind="simulated")
        message = listening.get_message(timeout=5)
    assert message
    assert message["data"] == str(call.pk).encode()


@pytest.mark.django_db(transaction=True)
def test_a_call_is_placed_while_redis_is_away(make_agent: MakeAgent, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(wakeups._Rest, "until", 0.0)
    assert Call.objects.filter(pk=place_call(agent=agent, kind="simulated").pk).exists()
    assert wakeups._Rest.until > monotonic()


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("call_disposition_iff_ended", {"status": "ended"}),
        ("call_disposition_iff_ended", {"disposition": "failed"}),
        ("call_finalized_has_ended", {"finalized_at": "2026-01-01T00:00Z", "cost": 1}),
        ("call_cost_iff_finalized", {"cost": 1}),
        ("call_claimed_by_a_job_of_a_host", {"job_id": "job-1", "status": "in_progress", "answered_at": "2026-01-01T00:00Z"}),
        ("call_queued_is_free", {"answered_at": "2026-01-01T00:00Z"}),
        ("call_dispatched_has_time", {"status": "dispatched"}),
        ("call_in_progress_is_answered", {"status": "in_progress"}),
        ("call_simulation_is_no_live_call", {"livemode": True}),
        ("call_local_without_server", {"kind": "web"}),
        ("call_persona_simulates", {"kind": "chat", "persona": "x"}),
        ("call_lasts", {"max_duration_s": 0}),
        ("call_begins_before_it_expires", {"not_before": "2026-01-02T00:00Z"}),
        ("call_begins_before_it_expires", {"not_before": "2026-01-02T00:00Z", "not_after": "2026-01-02T00:00Z"}),
    ],
)
def test_the_database_refuses_impossible_rows(make_call: Make, constraint: str, fields: dict[str, Any]) -> None:
    call = make_call()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Call.objects.filter(pk=call.pk).update(**fields)
