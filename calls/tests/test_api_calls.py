"""Calls over the API: placing, finding, hanging up."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import time, timedelta
from threading import Barrier
from time import sleep

import pytest
from django.db import connection
from django.utils import timezone

from agents import testing as agents_testing
from agents.services import archive_agent, start_draft
from calls.models import Call, CallCommand, CallEvent, CallingWindow
from calls.services import end_call
from calls.services.people import create_window, suppress
from tenants import lifecycle as tenant_lifecycle
from tenants.api import throttling
from tenants.models import AuditEvent, IdempotencyRecord, OutboxEvent, Tenant, TenantLimits
from tenants.roles import SCOPES

TO = "+15125550143"


def simulated(agent, **fields):
    return {"agent_id": agent.public_id, "kind": "simulated", **fields}


def outbound(agent, **fields):
    """At noon where the number rings."""
    noon = (timezone.now() + timedelta(days=1)).replace(hour=18, minute=0)
    return {"agent_id": agent.public_id, "to": TO, "not_before": noon.isoformat(), **fields}


@pytest.fixture(autouse=True)
def _may_call_the_us(within):
    within(lambda: TenantLimits.objects.update(allowed_countries=["US"]))
    within(create_window, window=CallingWindow(starts_at=time(9), ends_at=time(17), on_holidays=True))


def params(response):
    return {error["param"]: error["code"] for error in response.json()["errors"]}


def nothing_stored():
    tables = (Call, CallEvent, IdempotencyRecord)
    return not any(table.all_objects.exists() for table in tables)


@pytest.fixture
def with_variables(within):
    declared = [{"name": "first_name", "type": "text", "required": True}, {"name": "visits", "type": "number"}]
    return within(agents_testing.make_agent, settings={"variables": declared})


def test_a_simulated_call_is_queued_and_told_back(api, agent, within):
    body = simulated(agent, persona="hours_and_message", metadata={"order": "7"}, version=1)
    response = api.post("calls", body)
    assert response.status_code == 201
    shown = response.json()
    call = within(Call.objects.get)
    assert shown["id"] == call.public_id
    assert (shown["agent_id"], shown["version_number"], shown["persona"]) == (agent.public_id, 1, "hours_and_message")
    assert (shown["status"], shown["livemode"], shown["metadata"]) == ("queued", False, {"order": "7"})
    empty = ("disposition", "ended_reason", "why_it_ended", "duration_s", "cost", "recording", "answered_at", "not_before")
    assert {name: shown[name] for name in empty} == dict.fromkeys(empty)
    assert api.get(f"calls/{call.public_id}").json() == shown


def test_variables_are_checked_against_the_version(api, with_variables, within):
    response = api.post("calls", simulated(with_variables))
    assert (response.status_code, params(response)) == (400, {"variables.first_name": "invalid_variable"})
    response = api.post("calls", outbound(with_variables, variables={"first_name": "Ann", "visits": "many"}))
    assert params(response) == {"variables.visits": "invalid_variable"}
    response = api.post("calls", simulated(with_variables, variables={"first_name": "Ann", "age": 7}))
    assert params(response) == {"variables.age": "invalid_variable"}
    assert nothing_stored()
    assert api.post("calls", simulated(with_variables, variables={"first_name": "Ann"})).status_code == 201
    assert within(Call.objects.get).variables == {"first_name": "Ann", "visits": None}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"status": "ended"}, "status"),
        ({"overrides": {"brain": "x"}}, "overrides.brain"),
        ({"overrides": {"voice": "nobody"}}, "overrides.voice"),
        ({"overrides": {"language": "English"}}, "overrides.language"),
        ({"overrides": {"max_duration_s": 5}}, "overrides.max_duration_s"),
        ({"overrides": {"greeting": "Hi {{ stranger }}"}}, "overrides.greeting"),
        ({"overrides": {"greeting": ""}}, "overrides.greeting"),
        ({"overrides": []}, "overrides.non_field_errors"),
        ({"persona": "nobody"}, "persona"),
        ({"to": "+15125550143"}, "to"),
        ({"version": 7}, "version"),
        ({"version": 10**20}, "version"),
        ({"kind": "inbound"}, "kind"),
        ({"agent_id": "agt_01kaswrzaafgx9y3jv3mn6x3t1"}, "agent_id"),
        ({"agent_id": "call_01kaswrzaafgx9y3jv3mn6x3t1"}, "agent_id"),
        ({"agent_id": None}, "agent_id"),
        ({"metadata": {"x": 5 * ["y"]}}, "metadata.x"),
        ({"not_before": "tomorrow"}, "not_before"),
        ({"not_before": "0001-01-01T00:00:00+14:00"}, "not_before"),
        ({"not_before": "9999-12-31T23:59:59Z"}, "not_before"),
        ({"not_before": "9999-12-31T23:59:59-14:00"}, "not_before"),
        ({"not_after": "2020-01-01T00:00:00Z"}, "not_after"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_stored(api, agent, fields, named):
    response = api.post("calls", simulated(agent, **fields), headers={"Idempotency-Key": "k"})
    assert (response.status_code, list(params(response))) == (400, [named])
    assert response["Content-Type"] == "application/problem+json"
    assert nothing_stored()


@pytest.mark.parametrize("to", [None, "", "5125550143", "+1", "+999123456789", "Maria"])
def test_only_a_number_with_its_country_code_can_be_rung(api, agent, to):
    body = outbound(agent, to=to) if to is not None else {"agent_id": agent.public_id}
    response = api.post("calls", body)
    assert (response.status_code, list(params(response))) == (400, ["to"])
    assert nothing_stored()


def test_without_a_trunk_nobody_is_rung(make_api, tenant, agent):
    for livemode in (True, False):
        response = make_api(tenant, livemode=livemode).post("calls", outbound(agent), headers={"Idempotency-Key": "k"})
        assert (response.status_code, response.json()["code"]) == (409, "telephony_not_configured")
    assert nothing_stored()


def test_a_refused_person_is_rung_by_those_alone_who_may_override(api, make_api, tenant, agent, within):
    within(suppress, phone=TO, source="customer", reason="asked us")
    refused = api.post("calls", outbound(agent))
    assert (refused.status_code, refused.json()["code"]) == (403, "recipient_suppressed")
    reasoned = outbound(agent, override_gates="She asked for this call")
    assert api.post("calls", reasoned).json()["code"] == "telephony_not_configured"
    poor = make_api(tenant, scopes=[scope for scope in SCOPES if scope != "calls:override_gates"])
    assert poor.post("calls", reasoned).json()["code"] == "permission_denied"
    assert nothing_stored()


def test_a_number_abroad_is_refused_whatever_the_reason(api, agent):
    response = api.post("calls", outbound(agent, to="+4930901820", override_gates="Please"))
    assert (response.status_code, response.json()["code"]) == (403, "country_not_allowed")


def test_a_person_is_rung_from_a_number_of_ones_own_by_no_persona(api, agent):
    response = api.post("calls", outbound(agent, from_number_id="num_01kaswrzaafgx9y3jv3mn6x3t1"))
    assert params(response) == {"from_number_id": "does_not_exist"}
    assert params(api.post("calls", outbound(agent, persona="hours_and_message"))) == {"persona": "invalid"}
    assert nothing_stored()


def test_an_override_changes_this_call_alone(api, agent, within):
    overrides = {"greeting": "Hi from {{ agent_name }}", "max_duration_s": 30}
    shown = api.post("calls", simulated(agent, overrides=overrides)).json()
    call = within(lambda: Call.objects.select_related("snapshot").get())
    settings = call.snapshot.body["settings"]
    assert shown["overrides"] == overrides
    assert settings["opening"]["greeting"] == overrides["greeting"]
    assert (call.max_duration_s, settings["limits"]["max_duration_s"], settings["limits"]["duration_warning_s"]) == (30, 30, 0)
    agent.published_version.refresh_from_db()
    assert agent.published_version.compiled["settings"]["opening"]["greeting"] != overrides["greeting"]


def test_an_hour_is_allowed_for_a_call_that_is_to_wait(api, agent):
    begin = timezone.now().replace(microsecond=0) + timedelta(hours=3)
    shown = api.post("calls", simulated(agent, not_before=begin.isoformat())).json()
    assert (shown["not_before"], shown["not_after"]) == (
        f"{begin:%Y-%m-%dT%H:%M:%SZ}",
        f"{begin + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    )
    late = simulated(agent, not_before=begin.isoformat(), not_after=begin.isoformat())
    assert list(params(api.post("calls", late))) == ["not_after"]


def test_a_draft_may_be_simulated_but_rings_nobody(make_api, tenant, agent, within):
    within(start_draft, agent=agent)
    live = make_api(tenant, livemode=True)
    assert live.post("calls", simulated(agent, version=2)).json()["version_number"] == 2
    assert live.post("calls", outbound(agent, version=2)).json()["code"] == "telephony_not_configured"


def test_refusals_for_reasons_of_state(api, agent, within, tenant):
    within(lambda: TenantLimits.objects.update(max_open_calls=0))
    assert api.post("calls", simulated(agent)).json()["code"] == "call_limit_reached"
    unpublished = within(agents_testing.make_agent, published=False)
    assert api.post("calls", outbound(unpublished)).json()["code"] == "agent_not_published"
    within(archive_agent, agent=agent)
    assert api.post("calls", simulated(agent)).json()["code"] == "agent_archived"
    tenant_lifecycle.advance(tenant=tenant, to=Tenant.Status.SUSPENDED)
    suspended = api.post("calls", outbound(unpublished))
    assert (suspended.status_code, suspended.json()["code"]) == (403, "tenant_not_active")
    assert nothing_stored()


def test_no_call_is_placed_while_requests_cannot_be_counted(api, agent, settings, monkeypatch):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(throttling._Rest, "until", 0.0)
    api._client.raise_request_exception = False
    refused = api.post("calls", simulated(agent))
    assert (refused.status_code, refused.json()["code"]) == (503, "rate_limit_unavailable")
    assert nothing_stored()
    assert api.get("calls").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_same_request_from_ten_threads_places_one_call(api, agent, within):
    together, body = Barrier(10), simulated(agent)

    def place(_number):
        together.wait()
        try:
            for _ in range(100):
                response = api.post("calls", body, headers={"Idempotency-Key": "one"})
                if response.status_code != 409:
                    return response.status_code, response.json()["id"]
                assert response.json()["code"] == "idempotency_in_progress"
                sleep(0.02)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        answers = Counter(pool.map(place, range(10)))
    call = within(Call.objects.get)
    assert answers == {(201, call.public_id): 10}
    assert within(lambda: OutboxEvent.objects.filter(topic="call.queued").count()) == 1


def test_a_stranger_sees_and_touches_nothing(api, stranger, agent, placed, within):
    call = placed(agent=agent, status="in_progress")
    for path in ("", "/transcript", "/tool_calls", "/events", "/usage"):
        assert api.get(f"calls/{call.public_id}{path}").status_code == 200
        assert stranger.get(f"calls/{call.public_id}{path}").status_code == 404
    assert stranger.post(f"calls/{call.public_id}/hang_up").status_code == 404
    assert stranger.get("calls").json()["data"] == []
    assert stranger.get(f"calls?agent_id={agent.public_id}").json()["data"] == []
    foreign, missing = stranger.post("calls", simulated(agent)), {"agent_id": "does_not_exist"}
    assert (foreign.status_code, params(foreign)) == (400, missing)
    assert within(Call.objects.count) == 1
    assert not within(CallCommand.objects.exists)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "calls", "calls:read"),
        ("get", "calls/{}", "calls:read"),
        ("get", "calls/{}/transcript", "calls:read"),
        ("get", "calls/{}/tool_calls", "calls:read"),
        ("get", "calls/{}/events", "calls:read"),
        ("get", "calls/{}/usage", "usage:read"),
        ("post", "calls", "calls:write"),
        ("post", "calls/{}/hang_up", "calls:write"),
    ],
)
def test_each_needs_its_scope(make_api, tenant, agent, placed, within, method, path, scope):
    call = placed(agent=agent, status="in_progress")
    body = () if method == "get" else (simulated(agent) if path == "calls" else {},)
    lacking = getattr(make_api(tenant, scopes=sorted(set(SCOPES) - {scope})), method)(path.format(call.public_id), *body)
    assert (lacking.status_code, lacking.json()["code"]) == (403, "permission_denied")
    assert (within(Call.objects.count), within(CallCommand.objects.count)) == (1, 0)
    having = getattr(make_api(tenant, scopes=[scope]), method)(path.format(call.public_id), *body)
    assert having.status_code in (200, 201)


def test_ids_of_other_kinds_are_not_found(api, agent, placed):
    call = placed(agent=agent)
    for wrong in (agent.public_id, str(call.pk), "call_", "nonsense", call.public_id[:-1]):
        assert api.get(f"calls/{wrong}").status_code == 404
        assert api.post(f"calls/{wrong}/hang_up").status_code == 404
    assert api.get(f"calls?agent_id={call.public_id}").status_code == 400


def test_hanging_up_ends_a_waiting_call_and_asks_the_job_of_a_running_one(api, placed, within):
    waiting, running = placed(), placed(status="in_progress")
    shown = api.post(f"calls/{waiting.public_id}/hang_up", {"reason": "Not needed"}).json()
    assert (shown["status"], shown["disposition"], shown["ended_reason"]) == ("ended", "canceled", "canceled_by_user")
    assert shown["why_it_ended"] == "It was ended from the console or over the API. Not needed"
    again = api.post(f"calls/{waiting.public_id}/hang_up")
    assert (again.status_code, again.json()["code"]) == (409, "call_ended")
    assert api.post(f"calls/{running.public_id}/hang_up", {"reason": "Late"}).json()["status"] == "in_progress"
    assert within(CallCommand.objects.get).reason == "Late"
    asked = within(lambda: list(AuditEvent.objects.filter(action="call.hang_up_requested").order_by("id")))
    assert [(event.target_id, event.reason) for event in asked] == [(waiting.pk, "Not needed"), (running.pk, "Late")]
    assert all(event.api_key_id for event in asked)


def test_a_hang_up_takes_no_unknown_field(api, placed, within):
    call = placed()
    assert params(api.post(f"calls/{call.public_id}/hang_up", {"now": True})) == {"now": "unknown_field"}
    assert within(Call.objects.get).status == "queued"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=ended", ["ended"]),
        ("kind=web", ["live"]),
        ("disposition=canceled", ["ended"]),
        ("ended_reason=canceled_by_user", ["ended"]),
        ("livemode=true", ["live"]),
        ("livemode=false", ["ended", "waiting"]),
        ("persona=says_little", ["waiting"]),
        ("metadata[order]=7", ["waiting"]),
        ("metadata[order]=8", []),
        ("created_at__gte=2100-01-01T00:00:00Z", []),
        ("created_at__lt=2100-01-01T00:00:00Z&kind=simulated", ["ended", "waiting"]),
        ("agent_id={}", ["ended", "live", "waiting"]),
        ("created_at__lt=0001-01-01T00:00:00%2B14:00", []),
    ],
)
def test_lists_are_narrowed(api, agent, placed, within, query, found):
    made = {
        "waiting": placed(agent=agent, persona="says_little", metadata={"order": "7"}),
        "ended": placed(agent=agent),
        "live": placed(agent=agent, kind="web"),
    }
    within(end_call, call_id=made["ended"].pk, disposition="canceled", ended_reason="canceled_by_user")
    response = api.get(f"calls?{query.format(agent.public_id)}")
    assert response.status_code == 200
    names = {call.public_id: name for name, call in made.items()}
    assert sorted(names[row["id"]] for row in response.json()["data"]) == found


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("colour=red", "colour"),
        ("status=flying", "status"),
        ("status[x]=ended", "status[x]"),
        ("livemode=perhaps", "livemode"),
        ("created_at__gte=yesterday", "created_at__gte"),
        ("agent_id=agt_1", "agent_id"),
        ("metadata=7", "metadata"),
        ("metadata[order]=%00", "metadata"),
        ("persona=%00", "persona"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ],
)
def test_filters_that_do_not_fit_are_named(api, query, named):
    response = api.get(f"calls?{query}")
    assert (response.status_code, list(params(response))) == (400, [named])


def test_pages_follow_each_other(api, agent, placed):
    calls = [placed(agent=agent).public_id for _ in range(5)]
    first = api.get("calls?limit=2&kind=simulated").json()
    placed(agent=agent)
    second = api.get(first["next"].partition("/api/v1/")[2]).json()
    assert [row["id"] for row in first["data"] + second["data"]] == calls[:0:-1]
    assert (first["has_more"], second["has_more"]) == (True, True)


def test_a_list_costs_the_same_for_any_number_of_calls(api, agent, placed, django_assert_num_queries):
    for number in (1, 4):
        for _ in range(number):
            placed(agent=agent, status="ended", finalized=True)
        api.get("me")
        with django_assert_num_queries(4):  # calls, recordings, legs, the request log
            assert api.get("calls").status_code == 200
