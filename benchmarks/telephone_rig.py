"""A telephone network for measuring: a LiveKit server, a carrier without a phone company, and a tenant with lines."""

import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
from django.conf import settings
from django.db import connections
from livekit import api

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Call, PhoneNumber, SipTrunk
from calls.services import dispatching
from calls.services.ending import end_call
from calls.services.outbound import place_outbound
from calls.telephony.client import LiveKit, connected
from calls.testing import make_number, make_trunk
from tenants.models import Tenant, TenantLimits
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from tests.livekit.rig import Carrier
from voice_worker.memory import private_mb
from voiceplatform.embedded.livekit import program
from voiceplatform.embedded.services import SERVICES
from voiceplatform.embedded.supervisor import Supervisor

Leg = list[dict[str, Any]]
GREETS_AFTER_S = 1
"""How long an agent waits for whoever was called to speak."""
_OPEN_CALLS = 1000
"""What a measurement queues at once."""


@dataclass(slots=True)
class Network:
    """What is there to call with. `tenant` owns every line that is opened."""

    server: Supervisor
    carrier: Carrier
    livekit: LiveKit
    tenant: Tenant
    agent: Agent
    _numbers: int = field(default=0)
    # Numbers of earlier runs stay in the database.
    _base: str = field(default_factory=lambda: f"+1202{random.randint(20_000, 79_999)}")

    def open_line(self, *, cps: int = 20, channels: int = 50) -> PhoneNumber:
        """A number over an outbound trunk of its own, which the server knows."""
        self._numbers += 1
        phone = f"{self._base}{self._numbers:02}"
        info = api.SIPOutboundTrunkInfo(name="out", address="sip.example.com", numbers=[phone])
        request = api.CreateSIPOutboundTrunkRequest(trunk=info)
        made = self.livekit.ask(lambda lk: lk.sip.create_outbound_trunk(request))
        with tenant_scope(self.tenant):
            trunk = make_trunk(cps=cps, channels=channels)
            SipTrunk.objects.filter(pk=trunk.pk).update(livekit_id=made.sip_trunk_id)
            number = make_number(phone=phone, trunk=trunk, agent=self.agent)
            return PhoneNumber.objects.select_related("grant__trunk").get(pk=number.pk)

    def answer(self, number: PhoneNumber) -> None:
        """Lead calls to the number to the worker."""
        trunk = api.CreateSIPInboundTrunkRequest(trunk=api.SIPInboundTrunkInfo(name="in", numbers=[number.phone]))
        made = self.livekit.ask(lambda lk: lk.sip.create_inbound_trunk(trunk))
        agents = [api.RoomAgentDispatch(agent_name="voice-agent", metadata=f'{{"number_id": "{number.pk}"}}')]
        rule = api.SIPDispatchRuleInfo(
            rule=api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="in")),
            trunk_ids=[made.sip_trunk_id],
            room_config=api.RoomConfiguration(agents=agents),
        )
        self.livekit.ask(lambda lk: lk.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=rule)))

    def dial(self, to: str, *, number: PhoneNumber, **asked: Any) -> Call:
        """Queue a call; `dispatched` gives it out."""
        with tenant_scope(self.tenant):
            reason = "a measurement at any hour"
            return place_outbound(
                to=to, from_number=number, agent=self.agent, kind="outbound", override_gates=reason, livemode=False, **asked
            )

    def call(self, call_id: UUID) -> Call:
        with tenant_scope(self.tenant):
            return Call.objects.get(pk=call_id)

    def end_all(self) -> None:
        """What a broken measurement has left must not be dispatched by the next one."""
        with tenant_scope(self.tenant):
            for call_id in Call.objects.exclude(status=Call.Status.ENDED).values_list("pk", flat=True):
                end_call(call_id=call_id, disposition="canceled", ended_reason="canceled_by_user")


@contextlib.contextmanager
def telephone_network(book: dict[str, Any], *, tools: dict[str, Any] | None = None) -> Iterator[Network]:
    """Phones do as the book says, and the agent may use `tools`. Everything is gone afterwards."""
    values = {name: os.environ[name] for name in ("PATH", "LIVEKIT_SERVER_BIN") if name in os.environ}
    if program.find(values) is None:
        sys.exit(program.HOW_TO_GET_IT)
    slug = f"benchmark-{uuid4().hex[:12]}"
    tenant = create_tenant(name=slug, slug=slug, timezone="America/New_York")
    with tenant_scope(tenant):
        TenantLimits.objects.update(max_open_calls=_OPEN_CALLS)
        agent = make_agent(
            settings={
                "opening": {"greeting": "Hello there.", "greeting_interruptible": False},
                "machines": {"silence_after_answer_s": GREETS_AFTER_S},
            },
            tools=tools,
        )
    with tempfile.TemporaryDirectory(prefix="vp-") as folder, Supervisor(Path(folder), SERVICES, values=values) as server:
        server.start(["valkey", "livekit"])
        for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
            setattr(settings, name, server.exports[name])
        with Carrier(server, book=book) as carrier, connected() as livekit:
            network = Network(server, carrier, livekit, tenant, agent)
            try:
                yield network
            finally:
                network.end_all()
                # It would take down one by one what nobody needs any more.
                carrier.kill()


@contextlib.contextmanager
def dispatched() -> Iterator[None]:
    """Waiting calls are given out as soon as there are lines, as the platform's own wake-ups do."""
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.05):
                dispatching.dispatch_due()
                dispatching.dispatch_again()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, name="dispatcher")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_for(holds: Callable[[], Any], *, seconds: float, what: str) -> Any:
    ends = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > ends:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
    return found


def moment(leg: Leg, event: str, **values: Any) -> float | None:
    """When it happened on the monotonic clock, if it did."""
    fits = (line["mono"] for line in leg if line["event"] == event and all(line.get(name) == values[name] for name in values))
    return next(fits, None)


def largest_child_mb(pid: int) -> float:
    """Private memory of the one of its processes that holds the call: the others wait with next to nothing of their own."""
    return max((private_mb(child.pid) for child in psutil.Process(pid).children(recursive=True)), default=0.0)
