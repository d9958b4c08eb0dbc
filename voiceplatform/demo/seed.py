"""A demo tenant with a published agent, and a staff login; safe to run again."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

from django.conf import settings

from agents.models import Agent
from agents.services import create_agent, publish, save_draft, start_draft
from calls.errors import NumberTakenError
from calls.models import CallingWindow, PhoneNumber, SipTrunk
from calls.services.numbers import add_number
from calls.services.people import create_window
from calls.services.trunks import create_trunk
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from voiceplatform.embedded.environment import is_supervised
from voiceplatform.embedded.home import STAFF_LOGIN

TENANT_NAME = "Bright Smile Dental"
TENANT_SLUG = "bright-smile"
AGENT_NAME = "Ava"
STAFF_USERNAME = "admin"
TRUNK: Mapping[str, Any] = {
    "name": "Simulated carrier",
    "carrier": "other",
    "address": "sip.simulated.example",
    "cps": 5,
    "channels": 10,
    "billed_as": "simulated",
}
PHONE = "+12025550000"
PHONE_COUNTRY = "US"

INSTRUCTIONS = """You are Ava, the phone receptionist of {{ business_name }} in Austin.
Greet warmly, answer questions about opening hours, prices, the address and parking, and take messages for the dentists.
You cannot book, move or cancel appointments yourself; offer to take a message instead."""

FACTS = [
    "Monday to Friday: open 9 AM to 5 PM",
    "Saturday: open 10 AM to 2 PM",
    "Sunday: closed",
    "cleaning: 90 dollars",
    "whitening: 250 dollars",
    "check-up: 60 dollars",
    "address: 12 Oak Street",
    "parking: free, behind the building",
]

BRAINS = {"local": "default", "google": "gemini-3.8-flash", "openai": "gpt-6-luna"}


@dataclass(frozen=True, slots=True)
class Seeded:
    tenant_slug: str
    agent_id: str
    username: str
    password: str
    phone: str = ""


def seed_demo(*, llm: str, small_brain: bool) -> Seeded:
    """Create what is missing and publish the agent on the `llm` provider (local, google or openai).

    Where the embedded profile runs its LiveKit server, the agent also gets a number at the simulated carrier.
    """
    tenant = Tenant.objects.filter(slug=TENANT_SLUG).first() or create_tenant(
        name=TENANT_NAME, slug=TENANT_SLUG, timezone="America/Chicago"
    )
    with tenant_scope(tenant):
        agent = _agent(llm=llm, model="small" if llm == "local" and small_brain else BRAINS[llm])
        phone = _telephone(agent) if is_supervised("LIVEKIT_URL") else ""
    login = {"username": STAFF_USERNAME, "password": _staff_password()}
    return Seeded(tenant_slug=TENANT_SLUG, agent_id=str(agent.pk), phone=phone, **login)


def _agent(*, llm: str, model: str) -> Agent:
    agent = Agent.objects.filter(name=AGENT_NAME).first() or create_agent(
        name=AGENT_NAME, description="Answers a dental practice's phone and takes messages."
    )
    published = agent.published_version
    brain = {"provider": llm, "model": model}
    if published and {key: published.settings["brain"][key] for key in brain} == brain:
        return agent
    if not agent.versions.drafts().exists():
        start_draft(agent=agent)
    save_draft(
        agent=agent,
        settings={
            "instructions": INSTRUCTIONS,
            "facts": FACTS,
            "opening": {"greeting": "Thank you for calling {{ business_name }}, this is {{ agent_name }}. How can I help you?"},
            "brain": brain,
        },
        tools={"take_message": {}, "end_call": {}},
    )
    publish(agent=agent)
    agent.refresh_from_db()
    return agent


def _telephone(agent: Agent) -> str:
    """A number that rings the agent, and calls out at any hour; "" where staff took it away. What they changed stays."""
    trunk = SipTrunk.objects.filter(name=TRUNK["name"]).first() or create_trunk(**TRUNK)
    grant = trunk.grants.filter(tenant_id=trunk.tenant_id, revoked_at=None).first()
    if grant and not PhoneNumber.objects.filter(phone=PHONE).exists():
        with suppress(NumberTakenError):
            add_number(phone=PHONE, label="Simulated carrier", grant=grant, agent=agent)
    if not CallingWindow.objects.filter(country=PHONE_COUNTRY).exists():
        last = time(23, 59, 59, 999999)  # the first moment at which no call is placed any more
        create_window(window=CallingWindow(country=PHONE_COUNTRY, starts_at=time.min, ends_at=last, on_holidays=True))
    return PHONE if PhoneNumber.objects.filter(phone=PHONE, released_at=None).exists() else ""


def _staff_password() -> str:
    """The staff password, kept in a private file so that a later start can show it again."""
    kept: Path = settings.VP_HOME / STAFF_LOGIN
    user = User.objects.filter(username=STAFF_USERNAME).first()
    if user is not None and kept.is_file():
        return kept.read_text().strip()
    password = secrets.token_urlsafe(12)
    if user is None:
        User.objects.create_superuser(username=STAFF_USERNAME, password=password)
    else:
        user.set_password(password)
        user.save(update_fields=["password"])
    kept.touch(mode=0o600, exist_ok=True)
    kept.write_text(password + "\n")
    return password
