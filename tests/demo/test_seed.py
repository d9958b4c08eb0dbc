"""What the demo begins with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from calls.models import CallingWindow, PhoneNumber, SipTrunk
from calls.services.gates import check_person
from calls.services.numbers import release_number
from tenants.models import Tenant
from tenants.scope import tenant_scope
from voiceplatform.demo.seed import PHONE, TENANT_SLUG, Seeded, seed_demo

PERSON = "+12025550115"


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path, db: None) -> None:
    settings.VP_HOME = tmp_path


@pytest.fixture
def livekit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VP_SUPERVISED", "REDIS_URL LIVEKIT_URL")


def seed() -> Seeded:
    return seed_demo(llm="local", small_brain=False)


def kept() -> list[list[dict[str, Any]]]:
    with tenant_scope(Tenant.objects.get(slug=TENANT_SLUG)):
        return [list(model.objects.order_by("pk").values()) for model in (SipTrunk, PhoneNumber, CallingWindow)]


def test_the_demo_can_be_called_and_call(livekit: None) -> None:
    seeded = seed()
    assert seeded.phone == PHONE
    with tenant_scope(Tenant.objects.get(slug=TENANT_SLUG)):
        number = PhoneNumber.objects.select_related("grant__trunk").get()
        trunk = number.grant.trunk
        assert (str(number.agent_id), number.is_caller_id) == (seeded.agent_id, True)
        assert (trunk.name, trunk.carrier, trunk.address) == ("Simulated carrier", "other", "sip.simulated.example")
        assert (trunk.cps, trunk.channels, number.grant.channels) == (5, 10, 10)
        for moment in ("2026-11-26 08:30", "2026-12-25 05:00", "2026-11-28 04:59"):  # Thanksgiving, midnights in Washington
            assert check_person(
                phone=PERSON, now=datetime.fromisoformat(moment).replace(tzinfo=UTC), requires_consent=False
            ).allowed, moment


def test_seeding_again_changes_nothing(livekit: None) -> None:
    first, before = seed(), kept()
    assert (seed(), kept()) == (first, before)


def test_what_staff_took_away_stays_away(livekit: None) -> None:
    seed()
    with tenant_scope(Tenant.objects.get(slug=TENANT_SLUG)):
        release_number(number=PhoneNumber.objects.get())
    assert seed().phone == ""
    assert len(kept()[1]) == 1


def test_without_the_profiles_own_server_there_is_no_telephone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VP_SUPERVISED", "REDIS_URL")
    monkeypatch.setenv("LIVEKIT_URL", "wss://calls.example.com")
    assert seed().phone == ""
    assert kept() == [[], [], []]
