"""A demo tenant with a published agent, and a staff login; safe to run again."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from agents.models import Agent
from agents.services import create_agent, publish, save_draft, start_draft
from tenants.models import Tenant, User
from tenants.scope import tenant_scope
from tenants.services.tenants import create_tenant
from voiceplatform.embedded.home import STAFF_LOGIN

TENANT_NAME = "Bright Smile Dental"
TENANT_SLUG = "bright-smile"
AGENT_NAME = "Ava"
STAFF_USERNAME = "admin"

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


def seed_demo(*, llm: str, small_brain: bool) -> Seeded:
    """Create what is missing and publish the agent on the `llm` provider (local, google or openai)."""
    tenant = Tenant.objects.filter(slug=TENANT_SLUG).first() or create_tenant(
        name=TENANT_NAME, slug=TENANT_SLUG, timezone="America/Chicago"
    )
    with tenant_scope(tenant):
        agent = _agent(llm=llm, model="small" if llm == "local" and small_brain else BRAINS[llm])
    return Seeded(tenant_slug=TENANT_SLUG, agent_id=str(agent.pk), username=STAFF_USERNAME, password=_staff_password())


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
