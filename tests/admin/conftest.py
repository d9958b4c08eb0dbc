"""People of the staff console, and tenants with something in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from agents.models import Agent
from agents.testing import make_agent
from calls.models import Call, Message, ToolCall, Turn
from calls.testing import make_call, make_number
from tenants.models import Membership, Tenant, User
from tenants.scope import tenant_scope
from voiceplatform.middleware import STAFF_TENANT_KEY


@dataclass(frozen=True)
class House:
    """A tenant with an agent that answers a number, and a finished call that left a message."""

    tenant: Tenant
    agent: Agent
    call: Call
    message: Message


@pytest.fixture
def make_house(make_tenant: Callable[..., Tenant]) -> Callable[..., House]:
    def make(tenant: Tenant | None = None, **call: Any) -> House:
        tenant = tenant or make_tenant()
        with tenant_scope(tenant):
            agent = make_agent()
            made = make_call(agent=agent, **{"status": "ended", "finalized": True, "persona": "curious"} | call)
            message = Message.objects.create(call=made, key="m", caller_name="Sam", phone="555 0100", taken_at=made.created_at)
            make_number(agent=agent)
            add_turns(made, count=4)
            ToolCall.objects.create(call=made, sequence=1, key="end_call", status="ok", started_ms=2500)
        return House(tenant, agent, made, message)

    return make


def add_turns(call: Call, *, count: int) -> None:
    """Agent and caller by turns, a second each."""
    speakers = ("agent", "caller")
    Turn.objects.bulk_create(
        Turn(
            call=call,
            sequence=number,
            speaker=speakers[number % 2],
            source="speech" if number % 2 else "reply",
            text=f"turn {number}",
            started_ms=number * 1000,
            ended_ms=number * 1000 + 900,
            metrics={"transcription_delay": 100, "end_of_turn_delay": 300}
            if number % 2
            else {"llm_ttft": 200, "tts_ttfb": 50, "response_gap": 600},
        )
        for number in range(count)
    )


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()


@pytest.fixture
def foreign(make_house: Callable[..., House]) -> House:
    """Another tenant's agent and call."""
    return make_house()


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    def sign_in(user: User, tenant: Tenant | None = None) -> Client:
        client = Client()
        client.force_login(user)
        if tenant is not None:
            session = client.session
            session[STAFF_TENANT_KEY] = str(tenant.pk)
            session.save()
        return client

    return sign_in


@pytest.fixture
def root(make_user: Callable[..., User], signed_in: Callable[..., Client]) -> Client:
    """A superuser with all tenants in view."""
    return signed_in(make_user(is_staff=True, is_superuser=True))


@pytest.fixture
def root_of(make_user: Callable[..., User], signed_in: Callable[..., Client]) -> Callable[[Tenant], Client]:
    """A superuser who has chosen a tenant."""
    return lambda tenant: signed_in(make_user(is_staff=True, is_superuser=True), tenant)


@pytest.fixture
def staff(make_member: Callable[..., Membership], signed_in: Callable[..., Client]) -> Callable[..., Client]:
    """A member of a tenant's staff with some permissions, such as `view_call`."""

    def make(tenant: Tenant, *permissions: str) -> Client:
        user = make_member(tenant, is_staff=True).user
        found = Permission.objects.filter(codename__in=permissions)
        assert found.count() == len(permissions), f"unknown among {permissions}"
        user.user_permissions.set(found)
        return signed_in(User.objects.get(pk=user.pk))

    return make
