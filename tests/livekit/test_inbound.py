"""People who call in, from the carrier's INVITE to the ledger: the carrier's own account is the oracle."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from livekit import api
from standardwebhooks import Webhook

from agents.testing import make_agent
from calls.models import Call, CallEvent, Lead, Leg, LineSlot, PhoneNumber, ProviderEvent
from calls.services.people import create_lead
from calls.testing import make_number, make_trunk
from tenants import lifecycle
from tenants.models import Tenant
from tests.livekit.platform import Worker, as_tenant, call_is, in_db, the_call
from tests.livekit.rig import Carrier, until

OURS = "+12025558001"
CALLER = "+12025550116"
WORKER = {"VP_OUTBOUND_LOOPBACK": "true"}
BOOK = {"numbers": {CALLER: {"then": {"kind": "tone", "token": 41}}, "+12025550199": {"after_s": 0.2}}}


class Route:
    """A number of the tenant's, which the server knows."""

    def __init__(self, owner: Tenant, lk: api.LiveKitAPI) -> None:
        self.owner, self._lk, self._made = owner, lk, list[Any]()

    async def open(self, **fields: Any) -> PhoneNumber:
        number = await as_tenant(self.owner, self._add, fields)
        await self.to(OURS, json.dumps({"number_id": str(number.pk)}))
        return number

    def _add(self, fields: dict[str, Any]) -> PhoneNumber:
        fields = {"agent": make_agent(settings={"opening": {"greeting": "Hello there."}})} | fields
        return make_number(phone=OURS, trunk=fields.pop("trunk", None) or make_trunk(channels=2), **fields)

    async def to(self, phone: str, metadata: str) -> None:
        trunk = await self._lk.sip.create_inbound_trunk(
            api.CreateSIPInboundTrunkRequest(trunk=api.SIPInboundTrunkInfo(name="in", numbers=[phone]))
        )
        agents = [api.RoomAgentDispatch(agent_name="voice-agent", metadata=metadata)]
        rule = api.SIPDispatchRuleInfo(
            rule=api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="in")),
            trunk_ids=[trunk.sip_trunk_id],
            room_config=api.RoomConfiguration(agents=agents),
        )
        made = await self._lk.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=rule))
        self._made += [(trunk.sip_trunk_id, made.sip_dispatch_rule_id)]

    async def close(self) -> None:
        for trunk, rule in self._made:
            await self._lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule))
            await self._lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk))


@pytest.fixture
async def route(caller: Tenant, lk: api.LiveKitAPI, settings: Any):
    settings.VP_OUTBOUND_LOOPBACK = True
    found = Route(caller, lk)
    yield found
    await found.close()


async def ended(owner: Tenant, *, seconds: float = 20, **which: Any) -> Call:
    return await call_is(owner, (await the_call(owner, **which)).pk, "ended", seconds=seconds)


async def facts(owner: Tenant) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        legs = list(Leg.objects.values_list("role", "phone", "end_reason"))
        hooks = [event.data for event in CallEvent.objects.filter(kind="inbound_hook")]
        return {"legs": legs, "lines": LineSlot.objects.count(), "hooks": hooks}

    found: dict[str, Any] = await as_tenant(owner, read)
    return found


async def test_the_caller_hears_the_agent_of_the_number(carrier: Carrier, route: Route, worker: Worker):
    await as_tenant(route.owner, lambda: create_lead(lead=Lead(phone=CALLER, name="Ann Lee")))
    number = await route.open()
    [result] = await carrier.do("call", caller=CALLER, called=OURS, seconds=4)
    call = await ended(route.owner)
    assert (call.disposition, call.ended_reason, call.phone) == ("completed", "caller_hung_up", CALLER)
    assert (call.number_id, call.context) == (number.pk, {"name": "Ann Lee"})
    found = await facts(route.owner)
    assert found["legs"] == [("caller", CALLER, "hung_up")]
    assert found["lines"] == 0
    assert carrier.events(to=OURS)[:3] == ["invite", "ringing", "answer"], result


async def test_a_number_without_an_agent_says_a_sentence(carrier: Carrier, route: Route, worker: Worker):
    await route.open(closed_action="sentence", closed_sentence="We are closed.", hours=CLOSED)
    await carrier.do("call", caller=CALLER, called=OURS)
    call = await ended(route.owner)
    assert (call.disposition, call.ended_reason) == ("completed", "closed")
    await until(lambda: carrier.events(to=OURS)[-1] == "end", seconds=20)
    assert "answer" in carrier.events(to=OURS)
    leg = await in_db(lambda: Leg.all_objects.get(call=call))
    assert leg.answered_at
    assert 0 < (leg.ended_at - leg.answered_at).total_seconds() < 20


CLOSED = [{"weekdays": [1], "starts_at": "00:00", "ends_at": "00:01"}]


async def test_a_suspended_account_says_a_sentence(carrier: Carrier, route: Route, worker: Worker):
    await route.open()

    await in_db(lambda: lifecycle.advance(tenant=route.owner, to=Tenant.Status.SUSPENDED))
    await carrier.do("call", caller=CALLER, called=OURS)
    call = await ended(route.owner)
    assert (call.disposition, call.ended_reason) == ("blocked", "suspended")
    await until(lambda: carrier.events(to=OURS)[-1] == "end", seconds=20)


async def test_a_number_that_is_nobodys_says_so_and_leaves_no_call(carrier: Carrier, route: Route, worker: Worker):
    await route.to(OURS, json.dumps({"number_id": None}))
    await carrier.do("call", caller=CALLER, called=OURS)
    await until(lambda: carrier.events(to=OURS)[-1] == "end", seconds=20)

    def stray() -> tuple[int, int]:
        return ProviderEvent.objects.filter(kind="stray_call").count(), Call.all_objects.count()

    assert await in_db(stray) == (1, 0)


async def test_without_a_free_line_all_are_busy(carrier: Carrier, route: Route, worker: Worker):
    await route.open(trunk=await as_tenant(route.owner, make_trunk, channels=1))
    await carrier.do("call", caller=CALLER, called=OURS, seconds=12)
    await call_is(route.owner, (await the_call(route.owner)).pk, "in_progress")
    await carrier.do("call", caller="+12025550117", called=OURS)

    call = await ended(route.owner, phone="+12025550117")
    assert (call.disposition, call.ended_reason) == ("failed", "no_capacity")
    await carrier.do("hang_up")


class Hook:
    """The customer's own system."""

    def __init__(self, answer: Any, *, status: int = 200, waits_s: float = 0.0) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.asked.append((dict(self.headers), body))
                threading.Event().wait(waits_s)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


async def test_the_hook_decides_who_answers(carrier: Carrier, route: Route, worker: Worker):
    agent = await as_tenant(route.owner, make_agent, settings={"variables": [{"name": "plan"}]})
    hook = Hook({"agent_id": agent.public_id, "variables": {"plan": "gold"}, "metadata": {"crm": "7"}})
    number = await route.open(hook_url=hook.url)
    await carrier.do("call", caller=CALLER, called=OURS, seconds=3)
    call = await ended(route.owner)
    assert (call.agent_id, call.variables, call.metadata) == (agent.pk, {"plan": "gold"}, {"crm": "7"})
    [(headers, body)] = hook.asked
    stored = await as_tenant(route.owner, PhoneNumber.objects.get, pk=number.pk)
    signed = {key.lower(): value for key, value in headers.items()}
    assert Webhook(stored.hook_secret.reveal()).verify(body, signed)["data"]["from"] == CALLER
    assert [hook["problem"] for hook in (await facts(route.owner))["hooks"]] == [""]
    hook.close()


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (lambda: Hook({}, waits_s=4), "2"),
        (lambda: Hook(b"<html>"), "does not fit"),
        (lambda: Hook({"agent_id": "agt_nobody"}), "no published agent"),
        (lambda: Hook({}, status=500), "status 500"),
        (lambda: Hook({"forward_to": "+19002345678"}), "premium-rate"),
    ],
)
async def test_a_hook_in_trouble_is_told_and_the_default_holds(carrier: Carrier, route: Route, worker: Worker, hook, problem):
    made = hook()
    number = await route.open(hook_url=made.url)
    await carrier.do("call", caller=CALLER, called=OURS, seconds=4)
    call = await ended(route.owner)
    assert (call.disposition, call.agent_id) == ("completed", number.agent_id)
    [told] = (await facts(route.owner))["hooks"]
    assert problem in told["problem"]
    made.close()


async def test_a_hook_that_rejects_leaves_the_phone_unanswered(carrier: Carrier, route: Route, worker: Worker):
    hook = Hook({"reject": True})
    await route.open(hook_url=hook.url)
    await carrier.do("call", caller=CALLER, called=OURS)
    call = await ended(route.owner)
    assert (call.disposition, call.ended_reason) == ("rejected", "rejected_by_hook")
    await until(lambda: carrier.events(to=OURS)[-1] == "end")
    assert "answer" not in carrier.events(to=OURS)
    hook.close()


async def test_outside_the_hours_the_call_is_put_through(carrier: Carrier, route: Route, worker: Worker):
    await route.open(closed_action="forward", closed_forward_to="+12025550199", hours=CLOSED)
    await carrier.do("call", caller=CALLER, called=OURS)
    call = await ended(route.owner, seconds=30)
    assert (call.disposition, call.ended_reason) == ("transferred", "forwarded")
    assert "transfer" in carrier.events(to=OURS)
