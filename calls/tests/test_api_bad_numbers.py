"""Numbers nobody should ring, as people type them: refused with what to do, and nothing is left behind."""

import re
from typing import Any

import pytest

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Call, CallEvent, Lead, PhoneNumber, SipTrunk
from calls.testing import make_number, make_trunk
from conftest import ApiClient
from tenants.models import IdempotencyRecord, TenantLimits

COUNTRY_CODE, DIGITS = "lacks its country code. Write it with +", "Use \\+ and digits only"
UNUSABLE = [
    ("(512) 555-0143", COUNTRY_CODE),
    ("0171 1234567", COUNTRY_CODE),
    ("00491711234567", COUNTRY_CODE),
    ("011 44 20 7946 0958", COUNTRY_CODE),
    ("tel:+12125550123", COUNTRY_CODE),
    ("+1 800 FLOWERS", DIGITS),
    ("+12125550123 ext. 12", DIGITS),
    ("+12125550123;ext=12", DIGITS),
    ("+12125550123,,12#", DIGITS),
    ("+1212555012", "too many or too few digits"),
    ("+999123456789", "check its country code"),
]
NEVER_RUNG = [
    ("911", "emergency or service number"),
    ("112", "emergency or service number"),
    ("+1911", "emergency or service number"),
    ("+49 112", "emergency or service number"),
    ("72720", "emergency or service number"),
    ("411", "emergency or service number"),
    ("+1 900 234 5678", "premium-rate number; agents never call those"),
    ("+491801234567", "shared-cost number; agents never call those"),
    ("+881612345678", "satellite or international service number; agents never call those"),
]


@pytest.fixture
def agent(within: Any) -> Agent:
    """Of a tenant with a number to call from."""

    def make() -> Agent:
        TenantLimits.objects.update(allowed_countries=["US", "DE"])
        number = make_number(trunk=make_trunk())
        SipTrunk.objects.update(livekit_id="ST_1")
        made = make_agent()
        PhoneNumber.objects.filter(pk=number.pk).update(agent=made)
        return made

    found: Agent = within(make)
    return found


def told(response: Any) -> str:
    body = response.json()
    return " ".join([body["detail"], *(error["detail"] for error in body["errors"])])


@pytest.mark.parametrize(("to", "says"), UNUSABLE + NEVER_RUNG)
@pytest.mark.parametrize("override", [{}, {"override_gates": "the boss said so"}], ids=["", "overridden"])
def test_a_call_to_it_is_refused(api: ApiClient, agent: Agent, to: str, says: str, override: dict[str, str]) -> None:
    body = {"agent_id": agent.public_id, "to": to, **override}
    response = api.post("calls", body, headers={"Idempotency-Key": "k"})
    assert response.status_code in {400, 403}, response.content
    assert re.search(says, told(response)), told(response)
    assert not any(model.all_objects.exists() for model in (Call, CallEvent, IdempotencyRecord))


@pytest.mark.parametrize(("to", "says"), UNUSABLE + NEVER_RUNG[:6])
def test_it_is_no_number_of_ours_and_no_persons(api: ApiClient, agent: Agent, within: Any, to: str, says: str) -> None:
    trunk: Any = within(lambda: SipTrunk.objects.get().public_id)
    for path, body in (("numbers", {"trunk_id": trunk}), ("leads", {})):
        response = api.post(path, {"phone": to, **body})
        assert (response.status_code, [error["param"] for error in response.json()["errors"]]) == (400, ["phone"])
        assert re.search(says, told(response)), told(response)
    assert (PhoneNumber.all_objects.count(), Lead.all_objects.count()) == (1, 0)
