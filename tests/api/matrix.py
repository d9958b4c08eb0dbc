"""One row for each address and method of the API: how its owner uses it.

`owned` makes what the row needs in the tenant in scope and says how to ask for it: the parts of the address, and the
body. `foreign` names the fields of the body that refer to rows, which another tenant must not be able to name. `live`
ones refuse test keys.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any

from django.apps import apps
from django.core import serializers
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from agents import testing as agents_testing
from agents.services import archive_agent, start_draft
from calls.models import CallCommand, CallingWindow, Lead, Message, Recording
from calls.services import people, trunks
from calls.services.actions import Wanted, request_action
from calls.services.carrier_numbers import buy
from calls.services.chats import write_message
from calls.services.targets import create_target
from calls.testing import make_account, make_call, make_number, make_trunk
from integrations.services.deliveries import send_test
from integrations.services.endpoints import create_endpoint
from tenants.jobs import LEADS
from tenants.models import TenantLimits, TenantModel
from tenants.services.api_keys import create_key
from tenants.services.jobs import create_job
from voiceplatform.api.urls import router

Asked = tuple[Mapping[str, str], Any]
# Written by looking alone.
_NOTED = {"tenants.RequestLog", "tenants.ApiKey"}


def nothing() -> Asked:
    return {}, None


def sends(body: Any) -> Callable[[], Asked]:
    return lambda: ({}, body)


@dataclass(frozen=True)
class Row:
    scope: str
    owned: Callable[[], Asked] = nothing
    foreign: tuple[str, ...] = field(default=())
    live: bool = False


def a_key() -> Asked:
    return {"id": create_key(name="Other", scopes=["calls:read"]).row.public_id}, None


def an_agent(body: Any = None, **fields: Any) -> Callable[[], Asked]:
    return lambda: ({"id": agents_testing.make_agent(**fields).public_id}, body)


def an_agent_with_a_draft(body: Any = None) -> Callable[[], Asked]:
    return an_agent(body, published=False)


def an_archived_agent() -> Asked:
    return {"id": archive_agent(agent=agents_testing.make_agent()).public_id}, None


def two_versions(body: Any = None) -> Callable[[], Asked]:
    def make() -> Asked:
        agent = agents_testing.make_agent()
        start_draft(agent=agent)
        return {"id": agent.public_id}, body

    return make


def a_version() -> Asked:
    agent = agents_testing.make_agent()
    return {"id": agent.public_id, "version": "1"}, None


def a_lead(body: Any = None, *, name: str = "id") -> Callable[[], Asked]:
    return lambda: ({name: people.create_lead(lead=Lead(phone=PHONE)).public_id}, body)


def a_suppression(body: Any = None) -> Callable[[], Asked]:
    return lambda: ({"id": people.suppress(phone=PHONE, source="customer").row.public_id}, body)


def a_window(body: Any = None) -> Callable[[], Asked]:
    return lambda: ({"id": people.create_window(window=CallingWindow(**WINDOW)).public_id}, body)


def a_call(body: Any = None, **fields: Any) -> Callable[[], Asked]:
    return lambda: ({"id": make_call(**fields).public_id}, body)


def a_simulation() -> Asked:
    return {}, {"agent_id": agents_testing.make_agent().public_id, "kind": "simulated"}


def a_web_call() -> Asked:
    return {"id": make_call(kind="web").public_id}, None


def a_written_message() -> Asked:
    call = make_call(kind="chat")
    return {"id": call.public_id, "message_id": write_message(call, "Hello").public_id}, None


def an_action() -> Asked:
    call = make_call(status="in_progress")
    action = request_action(call, Wanted(kind=CallCommand.Kind.SAY, text="Hello"))
    return {"id": call.public_id, "action_id": action.public_id}, None


def a_message() -> Asked:
    made = Message.objects.create(call=make_call(), key="1", caller_name="Ada", taken_at=timezone.now())
    return {"id": made.public_id}, None


def a_recording() -> Asked:
    file = storages["recordings"].save("sound.ogg", ContentFile(b"sound"))
    call = make_call(status="ended")
    stored = {"state": "stored", "file": file, "size": 5, "sha256": "0" * 64, "stored_at": timezone.now()}
    return {"id": Recording.objects.create(call=call, **stored).public_id}, None


def an_endpoint(body: Any = None, *, name: str = "id") -> Callable[[], Asked]:
    return lambda: ({name: create_endpoint(url=HOOK).row.public_id}, body)


def a_delivery() -> Asked:
    return {"id": send_test(endpoint=create_endpoint(url=HOOK).row).public_id}, None


def a_job() -> Asked:
    with transaction.atomic():
        return {"id": create_job(kind=LEADS, pieces=[[["+12125550123"]]]).public_id}, None


def new_trunk() -> Asked:
    return {}, {"name": "New", "carrier": "other", "address": "sip.example.com", "account_id": make_account().public_id}


def a_trunk(body: Any = None) -> Callable[[], Asked]:
    return lambda: ({"id": make_trunk().public_id}, body)


def a_stopped_trunk() -> Asked:
    trunk = make_trunk()
    trunks.stop_trunk(trunk=trunk, why="Maintenance")
    return {"id": trunk.public_id}, {"reason": "It is over"}


def new_number() -> Asked:
    body = {"phone": PHONE, "trunk_id": make_trunk().public_id, "closed_action": "other_agent"}
    return {}, body | {name: agents_testing.make_agent().public_id for name in ("agent_id", "closed_agent_id")}


def a_number(body: Any = None) -> Callable[[], Asked]:
    return lambda: ({"id": make_number().public_id}, body)


def a_new_target() -> Asked:
    TenantLimits.objects.update(allowed_countries=["US"])
    return {}, {"name": "Front desk", "phone": PHONE}


def a_target(body: Any = None) -> Callable[[], Asked]:
    return lambda: ({"id": create_target(**a_new_target()[1]).public_id}, body)


def an_account(body: Any = None) -> Callable[[], Asked]:
    return lambda: ({"id": make_account().public_id}, body)


def a_number_to_buy() -> Asked:
    return {"id": make_account().public_id}, {"phone": PHONE, "trunk_id": make_trunk().public_id}


def a_bought_number(body: Any) -> Callable[[], Asked]:
    def make() -> Asked:
        account = make_account()
        buy(account=account, phone=PHONE, grant=make_trunk().grants.get())
        return {"id": account.public_id}, {"phone": PHONE, **body}

    return make


HOOK = "https://hooks.example.com/in"
PHONE = "+12125550123"
WINDOW = {"country": "US", "weekdays": [1, 2], "starts_at": time(9), "ends_at": time(17)}
SENT_WINDOW = {**WINDOW, "starts_at": "09:00", "ends_at": "17:00"}
ACCOUNT = {"name": "Vonage", "carrier": "vonage", "api_key": "a1b2c3d4", "api_secret": "abcdefGH12345678"}
CONSENT = {"kind": "calls", "basis": "Signed on paper", "source": "office", "given_at": "2026-01-01T00:00:00Z"}

ROWS: dict[tuple[str, str], Row] = {
    ("GET", "me"): Row(""),
    ("GET", "api_keys"): Row("api_keys:read"),
    ("POST", "api_keys"): Row("api_keys:write", sends({"name": "New", "scopes": ["calls:read"]})),
    ("GET", "api_keys/{id}"): Row("api_keys:read", a_key),
    ("POST", "api_keys/{id}/revoke"): Row("api_keys:write", a_key),
    ("GET", "features"): Row("features:read"),
    ("GET", "features/{id}"): Row("features:read", lambda: ({"id": "call-recording"}, None)),
    ("GET", "jobs"): Row("jobs:read"),
    ("GET", "jobs/{id}"): Row("jobs:read", a_job),
    ("GET", "jobs/{id}/errors"): Row("jobs:read", a_job),
    ("POST", "jobs/{id}/cancel"): Row("jobs:write", a_job),
    ("GET", "agents"): Row("agents:read"),
    ("POST", "agents"): Row("agents:write", sends({"name": "New"})),
    ("GET", "agents/{id}"): Row("agents:read", an_agent()),
    ("PATCH", "agents/{id}"): Row("agents:write", an_agent({"name": "Renamed"})),
    ("POST", "agents/{id}/archive"): Row("agents:write", an_agent()),
    ("POST", "agents/{id}/restore"): Row("agents:write", an_archived_agent),
    ("POST", "agents/{id}/duplicate"): Row("agents:write", an_agent()),
    ("GET", "agents/{id}/draft"): Row("agents:read", an_agent_with_a_draft()),
    ("PUT", "agents/{id}/draft"): Row("agents:write", an_agent_with_a_draft({"settings": {"facts": ["One"]}, "tools": {}})),
    ("PATCH", "agents/{id}/draft"): Row("agents:write", an_agent_with_a_draft({"settings": {"facts": ["One"]}})),
    ("POST", "agents/{id}/draft"): Row("agents:write", an_agent()),
    ("POST", "agents/{id}/publish"): Row("agents:publish", an_agent_with_a_draft()),
    ("POST", "agents/{id}/roll_back"): Row("agents:publish", an_agent({"version": 1})),
    ("GET", "agents/{id}/diff"): Row("agents:read", two_versions()),
    ("GET", "agents/{id}/versions"): Row("agents:read", an_agent()),
    ("GET", "agents/{id}/versions/{version}"): Row("agents:read", a_version),
    ("POST", "agents/{id}/chat"): Row("agents:write", an_agent({"message": "Hello", "wait_s": 0})),
    ("GET", "providers"): Row("agents:read"),
    ("GET", "settings_schema"): Row("agents:read"),
    ("GET", "tools"): Row("agents:read"),
    ("GET", "voices"): Row("agents:read"),
    ("GET", "leads"): Row("leads:read"),
    ("POST", "leads"): Row("leads:write", sends({"phone": PHONE})),
    ("POST", "leads/import"): Row("leads:write", sends(b"phone\n+12125550123")),
    ("GET", "leads/{id}"): Row("leads:read", a_lead()),
    ("PATCH", "leads/{id}"): Row("leads:write", a_lead({"name": "Ada"})),
    ("GET", "leads/{lead_id}/consents"): Row("leads:read", a_lead(name="lead_id")),
    ("POST", "leads/{lead_id}/consents"): Row("leads:write", a_lead(CONSENT, name="lead_id")),
    ("POST", "leads/{lead_id}/consents/withdraw"): Row("leads:write", a_lead({"kind": "calls"}, name="lead_id")),
    ("GET", "suppressions"): Row("leads:read"),
    ("POST", "suppressions"): Row("leads:write", sends({"phone": PHONE})),
    ("POST", "suppressions/bulk"): Row("leads:write", sends({"suppressions": [{"phone": PHONE}]})),
    ("POST", "suppressions/import"): Row("leads:write", sends(b"phone\n+12125550123")),
    ("GET", "suppressions/{id}"): Row("leads:read", a_suppression()),
    ("POST", "suppressions/{id}/lift"): Row("leads:write", a_suppression({"reason": "Asked again"})),
    ("GET", "calling_windows"): Row("leads:read"),
    ("POST", "calling_windows"): Row("leads:write", sends(SENT_WINDOW)),
    ("GET", "calling_windows/{id}"): Row("leads:read", a_window()),
    ("PATCH", "calling_windows/{id}"): Row("leads:write", a_window({"weekdays": [1]})),
    ("DELETE", "calling_windows/{id}"): Row("leads:write", a_window()),
    ("GET", "calls"): Row("calls:read"),
    ("POST", "calls"): Row("calls:write", a_simulation, foreign=("agent_id",)),
    ("GET", "calls/{id}"): Row("calls:read", a_call()),
    ("POST", "calls/{id}/hang_up"): Row("calls:write", a_call(status="in_progress")),
    ("POST", "calls/{id}/token"): Row("calls:join", a_web_call),
    ("GET", "calls/{id}/events"): Row("calls:read", a_call()),
    ("GET", "calls/{id}/tool_calls"): Row("calls:read", a_call()),
    ("GET", "calls/{id}/transcript"): Row("calls:read", a_call()),
    ("GET", "calls/{id}/usage"): Row("usage:read", a_call()),
    ("GET", "calls/{id}/actions"): Row("calls:read", a_call()),
    ("POST", "calls/{id}/actions"): Row("calls:control", a_call({"type": "say", "text": "Hello"}, status="in_progress")),
    ("GET", "calls/{id}/actions/{action_id}"): Row("calls:read", an_action),
    ("POST", "calls/{id}/messages"): Row("calls:write", a_call({"text": "Hello", "wait_s": 0}, kind="chat")),
    ("GET", "calls/{id}/messages/{message_id}"): Row("calls:read", a_written_message),
    ("GET", "messages"): Row("calls:read"),
    ("GET", "messages/{id}"): Row("calls:read", a_message),
    ("POST", "messages/{id}/mark_read"): Row("calls:write", a_message),
    ("GET", "recordings"): Row("recordings:read"),
    ("GET", "recordings/{id}"): Row("recordings:read", a_recording),
    ("POST", "recordings/{id}/trim"): Row("recordings:read", a_recording),
    ("POST", "recordings/{id}/url"): Row("recordings:read", a_recording),
    ("GET", "carriers"): Row("trunks:read"),
    ("GET", "trunks"): Row("trunks:read"),
    ("POST", "trunks"): Row("trunks:write", new_trunk, foreign=("account_id",)),
    ("GET", "trunks/{id}"): Row("trunks:read", a_trunk()),
    ("PATCH", "trunks/{id}"): Row("trunks:write", a_trunk({"channels": 20})),
    ("DELETE", "trunks/{id}"): Row("trunks:write", a_trunk()),
    ("POST", "trunks/{id}/stop"): Row("trunks:write", a_trunk({"reason": "Maintenance"})),
    ("POST", "trunks/{id}/resume"): Row("trunks:write", a_stopped_trunk),
    ("GET", "numbers"): Row("numbers:read"),
    ("POST", "numbers"): Row("numbers:write", new_number, foreign=("trunk_id", "agent_id", "closed_agent_id")),
    ("GET", "numbers/{id}"): Row("numbers:read", a_number()),
    ("PATCH", "numbers/{id}"): Row("numbers:write", a_number({"label": "Main line"})),
    ("DELETE", "numbers/{id}"): Row("numbers:write", a_number()),
    ("POST", "numbers/{id}/rotate_hook_secret"): Row("numbers:write", a_number()),
    ("GET", "transfer_targets"): Row("agents:read"),
    ("POST", "transfer_targets"): Row("agents:publish", a_new_target),
    ("GET", "transfer_targets/{id}"): Row("agents:read", a_target()),
    ("PATCH", "transfer_targets/{id}"): Row("agents:publish", a_target({"enabled": False})),
    ("DELETE", "transfer_targets/{id}"): Row("agents:publish", a_target()),
    ("GET", "carrier_accounts"): Row("trunks:read"),
    ("POST", "carrier_accounts"): Row("trunks:write", sends(ACCOUNT)),
    ("GET", "carrier_accounts/{id}"): Row("trunks:read", an_account()),
    ("PATCH", "carrier_accounts/{id}"): Row("trunks:write", an_account({"name": "Renamed"})),
    ("DELETE", "carrier_accounts/{id}"): Row("trunks:write", an_account()),
    ("GET", "carrier_accounts/{id}/available_numbers"): Row("numbers:read", an_account()),
    ("GET", "carrier_accounts/{id}/owned_numbers"): Row("numbers:read", a_bought_number({})),
    ("POST", "carrier_accounts/{id}/buy_number"): Row("numbers:write", a_number_to_buy, foreign=("trunk_id",), live=True),
    ("POST", "carrier_accounts/{id}/release_number"): Row("numbers:write", a_bought_number({"also_here": True}), live=True),
    ("POST", "carrier_accounts/{id}/link_number"): Row("numbers:write", a_bought_number({}), live=True),
    ("POST", "carrier_accounts/{id}/unlink_number"): Row("numbers:write", a_bought_number({}), live=True),
    ("GET", "usage"): Row("usage:read"),
    ("GET", "event_types"): Row("webhooks:read"),
    ("GET", "webhook_endpoints"): Row("webhooks:read"),
    ("POST", "webhook_endpoints"): Row("webhooks:write", sends({"url": HOOK})),
    ("GET", "webhook_endpoints/{id}"): Row("webhooks:read", an_endpoint()),
    ("PATCH", "webhook_endpoints/{id}"): Row("webhooks:write", an_endpoint({"description": "New"})),
    ("DELETE", "webhook_endpoints/{id}"): Row("webhooks:write", an_endpoint()),
    ("POST", "webhook_endpoints/{id}/rotate_secret"): Row("webhooks:write", an_endpoint()),
    ("POST", "webhook_endpoints/{id}/test"): Row("webhooks:write", an_endpoint()),
    ("POST", "webhook_endpoints/{id}/replay"): Row(
        "webhooks:write", an_endpoint({"since": f"{timezone.now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"})
    ),
    ("GET", "webhook_endpoints/{endpoint_id}/deliveries"): Row("webhooks:read", an_endpoint(name="endpoint_id")),
    ("GET", "webhook_deliveries/{id}"): Row("webhooks:read", a_delivery),
    ("POST", "webhook_deliveries/{id}/resend"): Row("webhooks:write", a_delivery),
    ("POST", "gates/check"): Row("leads:read", sends({"to": PHONE})),
}


# A link opens it, not a key: calls/tests/test_api_recordings.py.
BY_LINK = {("GET", "recordings/{id}/content")}


def routes() -> set[tuple[str, str]]:
    """Every method and address the router knows."""
    found = set()
    for pattern in router.urls:
        template = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", str(pattern.pattern)).strip("^$")
        found |= {(method.upper(), template) for method in pattern.callback.actions if method != "head"}
    return found


def digest() -> str:
    """Of everything the tenant in scope has, but for what looking leaves behind."""
    owned = [model for model in apps.get_models() if issubclass(model, TenantModel) and model._meta.label not in _NOTED]
    text = "".join(serializers.serialize("json", model.objects.order_by("pk")) for model in owned)
    return hashlib.sha256(text.encode()).hexdigest()
