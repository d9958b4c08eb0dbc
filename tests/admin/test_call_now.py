"""Having an agent call somebody, from its page or from a lead's."""

from collections.abc import Callable
from datetime import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Call, CallingWindow, Lead, PhoneNumber, SipTrunk
from calls.services.people import create_lead, create_window, suppress
from calls.services.trunks import stop_trunk
from calls.testing import make_host
from tenants.models import AuditEvent, Tenant, TenantLimits
from tenants.scope import tenant_scope
from tests.admin.conftest import House

TO = "+12125550123"
CALLER = ("view_agent", "place_call")


def page_of(agent: Agent, lead: Lead | None = None) -> str:
    return reverse("admin:agents_agent_call", args=[agent.pk]) + (f"?lead={lead.pk}" if lead else "")


@pytest.fixture
def ready(house: House) -> House:
    """May call US numbers at any hour, over a trunk the server knows."""
    with tenant_scope(house.tenant):
        TenantLimits.objects.update(allowed_countries=["US"])
        create_window(window=CallingWindow(starts_at=time.min, ends_at=time.max, on_holidays=True))
        SipTrunk.objects.update(livekit_id="ST_1")
    return house


@pytest.fixture
def lead(ready: House) -> Lead:
    with tenant_scope(ready.tenant):
        return create_lead(lead=Lead(phone=TO, name="Ada"))


@pytest.fixture
def send(staff: Callable[..., Client], ready: House) -> Callable[..., Any]:
    """Post the form as somebody with these permissions beside those that are needed."""

    def post(*permissions: str, agent: Agent | None = None, **data: str) -> Any:
        return staff(ready.tenant, *CALLER, *permissions).post(page_of(agent or ready.agent), {"phone": TO, **data})

    return post


def errors_of(response: Any) -> dict[str, str]:
    assert response.status_code == 200
    return {name: " ".join(texts) for name, texts in response.context["form"].errors.items()}


def placed(house: House) -> list[Call]:
    with tenant_scope(house.tenant):
        return list(Call.objects.filter(kind="outbound"))


def test_a_call_is_placed_and_its_page_is_live(send: Callable[..., Any], staff: Callable[..., Client], ready: House) -> None:
    response = send(phone="+1 (212) 555-0123")
    [call] = placed(ready)
    assert response["Location"] == reverse("admin:calls_call_change", args=[call.pk])
    assert (call.phone, call.status, call.livemode, call.number.grant_id) == (TO, "queued", True, call.grant_id)
    assert 'hx-trigger="every 2s' in staff(ready.tenant, "view_call").get(response["Location"]).content.decode()
    with tenant_scope(ready.tenant):
        assert AuditEvent.objects.get(action="call.placed", target_id=call.pk).actor_id is not None


def test_it_needs_a_permission_of_its_own(staff: Callable[..., Client], ready: House, lead: Lead) -> None:
    client = staff(ready.tenant, "view_agent", "change_agent", "add_call", "view_lead")
    assert client.get(page_of(ready.agent)).status_code == 403
    assert client.post(page_of(ready.agent), {"phone": TO}).status_code == 403
    assert client.get(reverse("admin:calls_lead_call", args=[lead.pk]), {"agent": str(ready.agent.pk)}).status_code == 403
    assert "Call now" not in client.get(reverse("admin:calls_lead_change", args=[lead.pk])).content.decode()
    assert placed(ready) == []


def test_a_lead_is_called_by_the_agent_that_is_chosen(staff: Callable[..., Client], ready: House, lead: Lead) -> None:
    client = staff(ready.tenant, *CALLER, "view_lead")
    assert f'value="{ready.agent.pk}"' in client.get(reverse("admin:calls_lead_change", args=[lead.pk])).content.decode()
    chosen = client.get(reverse("admin:calls_lead_call", args=[lead.pk]), {"agent": str(ready.agent.pk)})
    assert chosen["Location"] == page_of(ready.agent, lead)
    page = client.get(chosen["Location"]).content.decode()
    assert f'value="{TO}"' in page
    assert f"{ready.agent.name} calls Ada" in page
    assert client.get(reverse("admin:calls_lead_call", args=[lead.pk]), {"agent": "x"}).status_code == 404
    unseen = staff(ready.tenant, *CALLER).get(page_of(ready.agent, lead)).content.decode()
    assert TO not in unseen


def test_numbers_leads_and_agents_of_others_are_not_there(
    staff: Callable[..., Client], send: Callable[..., Any], ready: House, lead: Lead, foreign: House
) -> None:
    with tenant_scope(foreign.tenant):
        theirs, their_lead = PhoneNumber.objects.get(), create_lead(lead=Lead(phone=TO))
    client = staff(ready.tenant, *CALLER, "view_lead")
    assert str(theirs.pk) not in client.get(page_of(ready.agent)).content.decode()
    assert "from_number" in errors_of(send(from_number=str(theirs.pk)))
    assert client.get(page_of(ready.agent, their_lead)).status_code == 404
    assert client.get(page_of(foreign.agent)).status_code == 404
    assert client.get(reverse("admin:calls_lead_call", args=[lead.pk]), {"agent": str(foreign.agent.pk)}).status_code == 404
    assert (placed(ready), placed(foreign)) == ([], [])


def test_all_tenants_in_view_offers_the_agents_own_numbers(root: Client, ready: House, foreign: House) -> None:
    with tenant_scope(foreign.tenant):
        theirs = PhoneNumber.objects.get()
    assert str(theirs.pk) not in root.get(page_of(ready.agent)).content.decode()
    assert root.post(page_of(ready.agent), {"phone": TO, "from_number": str(theirs.pk)}).status_code == 200
    assert root.post(page_of(ready.agent), {"phone": TO}).status_code == 302
    assert [call.tenant for call in placed(ready)] == [ready.tenant]


@pytest.mark.parametrize(
    ("phone", "says"),
    [("2125550123", "lacks its country code"), ("+4930901820", "Staff add countries"), ("+19005550123", "never call those")],
)
def test_a_number_that_may_not_be_called_is_refused_at_its_field(send: Callable[..., Any], phone: str, says: str) -> None:
    assert says in errors_of(send(phone=phone))["phone"]


def test_a_gate_is_overridden_with_a_reason_by_those_who_may(send: Callable[..., Any], ready: House) -> None:
    with tenant_scope(ready.tenant):
        suppress(phone=TO, source="customer", reason="asked")
    told = errors_of(send(override_gates="Please"))["phone"]
    assert "Lift it under Do not call" in told
    assert "permission to override gates" in told
    assert "say why below" in errors_of(send("override_gates"))["phone"]
    assert placed(ready) == []
    assert send("override_gates", override_gates="She asked for this call").status_code == 302
    with tenant_scope(ready.tenant):
        event = AuditEvent.objects.get(action="gates.overridden")
    assert (event.reason, event.actor_id is not None) == ("She asked for this call", True)
    assert "Wait until it has ended" in errors_of(send("override_gates", override_gates="Again"))["phone"]


def test_outside_the_window_it_says_when_it_opens(send: Callable[..., Any], ready: House) -> None:
    with tenant_scope(ready.tenant):
        CallingWindow.objects.update(ends_at=time(0, 0, 1))
    assert "It opens at" in errors_of(send())["phone"]


def test_lines_are_refused_at_the_number(send: Callable[..., Any], ready: House) -> None:
    with tenant_scope(ready.tenant):
        stop_trunk(trunk=SipTrunk.objects.get(), why="Bad credentials")
    assert "resume it under Trunks" in errors_of(send())["from_number"]
    with tenant_scope(ready.tenant):
        SipTrunk.objects.update(stopped_at=None, stopped_reason="", livekit_id="")
    assert "is not ready" in errors_of(send())["from_number"]
    with tenant_scope(ready.tenant):
        PhoneNumber.objects.update(is_caller_id=False)
    assert "Add a trunk and a number first" in errors_of(send())["from_number"]
    with tenant_scope(ready.tenant):
        PhoneNumber.objects.update(released_at=timezone.now(), is_caller_id=True)
    assert "Add a trunk and a number first" in errors_of(send())["from_number"]


def test_variables_are_asked_for_and_refused_at_their_fields(send: Callable[..., Any], ready: House) -> None:
    declared = [{"name": "first_name", "required": True, "example": "Maria"}, {"name": "visits", "type": "number"}]
    with tenant_scope(ready.tenant):
        agent = make_agent(settings={"variables": declared})
    assert "variable-first_name" in errors_of(send(agent=agent))
    wrong = errors_of(send(agent=agent, **{"variable-first_name": "Ada", "variable-visits": "many"}))
    assert "must be a number" in wrong["variable-visits"]
    assert send(agent=agent, **{"variable-first_name": "Ada", "variable-visits": "3"}).status_code == 302
    assert placed(ready)[0].variables == {"first_name": "Ada", "visits": 3}


def test_limits_and_states_are_told_over_the_form(send: Callable[..., Any], ready: House) -> None:
    with tenant_scope(ready.tenant):
        TenantLimits.objects.update(max_open_calls=0)
    assert "as many as its limits allow" in errors_of(send())["__all__"]
    Tenant.objects.filter(pk=ready.tenant.pk).update(status="suspended")
    assert "__all__" in errors_of(send())


def test_what_is_missing_is_said_before_anybody_calls(staff: Callable[..., Client], ready: House, settings: Any) -> None:
    client, page = staff(ready.tenant, *CALLER), page_of(ready.agent)
    settings.LIVEKIT_URL = ""
    assert "There is no LiveKit server" in client.get(page).content.decode()
    settings.LIVEKIT_URL = "ws://127.0.0.1:7880"
    make_host()
    assert "run_voice_worker --livekit" in client.get(page).content.decode()
    make_host(transport="livekit")
    assert "run_voice_worker" not in client.get(page).content.decode()
    with tenant_scope(ready.tenant):
        draft = make_agent(published=False)
    assert "this agent has none" in client.get(page_of(draft)).content.decode()
    assert client.post(page_of(draft), {"phone": TO}).status_code == 200
    assert placed(ready) == []
