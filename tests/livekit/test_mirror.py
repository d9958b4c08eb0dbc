"""Trunks and numbers on the real server: made, adopted, repaired, taken away, and what calls to them reach."""

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from livekit import api

from calls.errors import LiveKitRefusedError
from calls.models import PhoneNumber, SipTrunk
from calls.services import numbers, trunks
from calls.telephony.client import LiveKit
from calls.telephony.holdings import INBOUND, OUTBOUND, RULE, Holdings, Kind
from calls.telephony.mirroring import sync_all
from calls.telephony.names import CATCH_ALL
from calls.testing import make_number, make_trunk
from conftest import ApiClient
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.testing import WaitingProcesses, go
from tests.livekit.rig import Carrier
from voiceplatform import doctor
from voiceplatform.embedded.supervisor import Supervisor

PHONE, SECOND = "+12025557001", "+12025557002"
BOOK = {"numbers": {"+12025550001": {"after_s": 0.1}}}


class There:
    """What the server has, looked up at every question."""

    def __init__(self, livekit: LiveKit) -> None:
        self.livekit = livekit

    def all(self, kind: Kind) -> list[Any]:
        return list(Holdings(self.livekit, kind).items.values())

    def counts(self) -> tuple[int, int, int]:
        return tuple(len(self.all(kind)) for kind in (OUTBOUND, INBOUND, RULE))  # type: ignore[return-value]

    def one(self, kind: Kind, name: str) -> Any:
        [found] = [info for info in self.all(kind) if info.name == name]
        return found

    def make(self, kind: Kind, info: Any) -> str:
        return Holdings(self.livekit, kind).create(info)

    def change(self, kind: Kind, item_id: str, **fields: Any) -> None:
        info = Holdings(self.livekit, kind).items[item_id]
        for name, value in fields.items():
            if isinstance(value, list):
                info.ClearField(name)
                getattr(info, name).extend(value)
            else:
                setattr(info, name, value)
        self.livekit.ask(lambda lk: kind.replace(lk, item_id, info))


@pytest.fixture
def there(livekit: LiveKit) -> There:
    return There(livekit)


@pytest.fixture
def number(scope: Tenant, there: There) -> PhoneNumber:
    trunk = make_trunk(auth_username="us", auth_password="s3cret", allowed_addresses=["127.0.0.1/32"])
    return make_number(trunk=trunk, phone=PHONE)


def rows() -> tuple[SipTrunk, PhoneNumber]:
    return SipTrunk.objects.get(), PhoneNumber.objects.get()


def test_a_trunk_and_its_number_come_to_the_server_and_stay_as_they_are(number: PhoneNumber, there: There) -> None:
    done = sync_all()
    assert (done.created, done.replaced, done.deleted, done.troubles) == (4, 0, 0, [])
    trunk, number = rows()
    [out], [into] = there.all(OUTBOUND), there.all(INBOUND)
    assert (out.sip_trunk_id, out.name, out.address, list(out.numbers)) == (
        trunk.livekit_id,
        f"vp:{trunk.public_id}",
        "sip.example.com",
        [PHONE],
    )
    assert (out.auth_username, out.auth_password, json.loads(out.metadata)["trunk_id"]) == ("us", "s3cret", str(trunk.pk))
    assert (into.sip_trunk_id, list(into.numbers), list(into.allowed_addresses)) == (number.livekit_id, [PHONE], ["127.0.0.1/32"])
    rule = there.one(RULE, f"vp:{number.public_id}")
    assert (rule.sip_dispatch_rule_id, list(rule.trunk_ids)) == (number.livekit_rule_id, [number.livekit_id])
    assert rule.rule.dispatch_rule_individual.room_prefix == "in"
    [agent] = rule.room_config.agents
    assert (agent.agent_name, json.loads(agent.metadata)) == ("voice-agent", {"number_id": str(number.pk)})
    assert None not in (trunk.synced_at, number.synced_at)
    again = sync_all()
    assert (again.created, again.replaced, again.deleted) == (0, 0, 0)
    assert [(row.drift, row.sync_error) for row in rows()] == [("", ""), ("", "")]


def test_changes_of_the_rows_follow_and_are_no_drift(number: PhoneNumber, there: There) -> None:
    sync_all()
    trunk, before = rows()
    make_number(trunk=trunk, phone=SECOND)
    trunks.change_trunk(trunk=trunk, address="other.example.com:5061", transport="tls", allowed_addresses=[], auth_password="new")
    assert sync_all().replaced == 2
    [out] = there.all(OUTBOUND)
    assert (out.sip_trunk_id, out.address, out.auth_password) == (trunk.livekit_id, "other.example.com:5061", "new")
    assert (out.transport, list(out.numbers)) == (api.SIPTransport.SIP_TRANSPORT_TLS, [PHONE, SECOND])
    assert there.counts() == (1, 2, 3)
    after = PhoneNumber.objects.get(pk=before.pk)
    assert (after.livekit_id, after.livekit_rule_id) == (before.livekit_id, before.livekit_rule_id)
    assert set(PhoneNumber.objects.values_list("drift", flat=True)) | set(SipTrunk.objects.values_list("drift", flat=True)) == {
        ""
    }


def test_what_is_released_and_retired_goes(number: PhoneNumber, there: There) -> None:
    sync_all()
    trunk, number = rows()
    numbers.release_number(number=number)
    sync_all()
    assert there.counts() == (0, 0, 1)
    assert [(row.livekit_id, row.synced_at) for row in rows()] == [("", None), ("", None)]
    trunks.retire_trunk(trunk=trunk)
    assert (sync_all().deleted, rows()[1].livekit_rule_id) == (0, "")


def test_a_number_changes_hands_in_one_run(there: There, tenant: Tenant, other_tenant: Tenant) -> None:
    with tenant_scope(tenant):
        number = make_number(phone=PHONE)
    sync_all()
    with tenant_scope(tenant):
        numbers.release_number(number=number)
    with tenant_scope(other_tenant):
        heir = make_number(phone=PHONE)
    assert sync_all().troubles == []
    [into] = there.all(INBOUND)
    assert into.name == f"vp:{heir.public_id}"


def test_our_ids_are_found_again(number: PhoneNumber, there: There) -> None:
    sync_all()
    trunk, number = rows()
    ids = trunk.livekit_id, number.livekit_id, number.livekit_rule_id
    SipTrunk.objects.update(livekit_id="")
    PhoneNumber.objects.update(livekit_id="", livekit_rule_id="")
    done = sync_all()
    trunk, number = rows()
    assert (trunk.livekit_id, number.livekit_id, number.livekit_rule_id) == ids
    assert (done.created, done.replaced, done.deleted, trunk.drift, number.drift) == (0, 0, 0, "", "")


def test_a_likeness_without_metadata_is_found_by_its_name(number: PhoneNumber, there: There) -> None:
    made = there.make(INBOUND, api.SIPInboundTrunkInfo(name=f"vp:{number.public_id}", numbers=[PHONE]))
    sync_all()
    _, number = rows()
    assert (number.livekit_id, number.drift, number.sync_error) == (made, "", "")


def test_duplicates_of_ours_are_deleted(number: PhoneNumber, there: There) -> None:
    sync_all()
    trunk, _ = rows()
    second = there.one(OUTBOUND, f"vp:{trunk.public_id}")
    second.sip_trunk_id = ""
    there.make(OUTBOUND, second)
    assert there.counts()[0] == 2
    assert sync_all().deleted == 1
    [left] = there.all(OUTBOUND)
    assert left.sip_trunk_id == trunk.livekit_id


@pytest.mark.parametrize("written", [PHONE, PHONE.removeprefix("+")])
def test_a_trunk_made_by_hand_is_named_and_left_alone(number: PhoneNumber, there: There, written: str) -> None:
    made = there.make(INBOUND, api.SIPInboundTrunkInfo(name="by hand", numbers=[written]))
    done = sync_all()
    trunk, number = rows()
    assert number.sync_error.startswith(f"On the LiveKit server the inbound trunk 'by hand' ({made})")
    assert "Delete it there" in number.sync_error
    assert (number.livekit_id, number.synced_at, len(done.troubles)) == ("", None, 1)
    assert trunk.synced_at, "the trunk itself is not in trouble"
    assert [info.name for info in there.all(INBOUND)] == ["by hand"]
    Holdings(there.livekit, INBOUND).delete(made)
    sync_all()
    _, number = rows()
    assert (number.sync_error, bool(number.livekit_rule_id)) == ("", True)


def test_a_catch_all_made_by_hand_is_told_and_left_alone(number: PhoneNumber, there: There) -> None:
    rule = api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="x"))
    there.make(RULE, api.SIPDispatchRuleInfo(name="all by hand", rule=rule))
    [trouble] = sync_all().troubles
    assert "'all by hand'" in trouble
    assert sorted(info.name for info in there.all(RULE)) == sorted(["all by hand", f"vp:{number.public_id}"])


def test_a_rule_made_by_hand_for_our_trunk_is_named_and_left_alone(number: PhoneNumber, there: There) -> None:
    sync_all()
    number.refresh_from_db()
    Holdings(there.livekit, RULE).delete(number.livekit_rule_id)
    rule = api.SIPDispatchRule(dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="x"))
    made = there.make(RULE, api.SIPDispatchRuleInfo(name="by hand", rule=rule, trunk_ids=[number.livekit_id]))
    sync_all()
    assert rows()[1].sync_error.startswith(f"On the LiveKit server the dispatch rule 'by hand' ({made})")
    assert sorted(info.name for info in there.all(RULE)) == ["by hand", CATCH_ALL]
    Holdings(there.livekit, RULE).delete(made)
    sync_all()
    assert (rows()[1].sync_error, there.one(RULE, f"vp:{number.public_id}").trunk_ids) == ("", [number.livekit_id])


def test_a_rule_made_by_hand_for_other_calls_is_nobodys_business(number: PhoneNumber, there: There) -> None:
    rule = api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="conference"))
    trunk = there.make(INBOUND, api.SIPInboundTrunkInfo(name="theirs", numbers=[SECOND]))
    there.make(RULE, api.SIPDispatchRuleInfo(name="by hand", rule=rule, trunk_ids=[trunk]))
    assert sync_all().troubles == []
    assert there.one(RULE, "by hand").rule.dispatch_rule_direct.room_name == "conference"
    assert (rows()[1].sync_error, rows()[1].drift) == ("", "")


def test_a_key_that_the_server_refuses_is_told_by_every_trunk_and_number(
    number: PhoneNumber, there: There, api_of: Any, settings: Any
) -> None:
    sync_all()
    right, settings.LIVEKIT_API_SECRET = settings.LIVEKIT_API_SECRET, "guess" * 8
    with pytest.raises(LiveKitRefusedError):
        sync_all()
    shown = [api_of.get(path).json()["data"][0]["sync_error"] for path in ("trunks", "numbers")]
    assert all("refused our key: LIVEKIT_API_KEY and LIVEKIT_API_SECRET" in sentence for sentence in shown)
    settings.LIVEKIT_API_SECRET = right
    sync_all()
    assert [row.sync_error for row in rows()] == ["", ""]


@pytest.fixture
def api_of(make_api: Callable[..., ApiClient], scope: Tenant) -> ApiClient:
    return make_api(scope)


def findings() -> dict[str, tuple[bool, str]]:
    return {finding.name: (finding.ok, finding.detail) for finding in doctor.examine()}


def test_the_doctor_says_how_it_stands(number: PhoneNumber, there: There) -> None:
    ok, detail = findings()["telephony"]
    assert (ok, "not on the server yet: Trunk" in detail, "no rule for calls to numbers" in detail) == (False, True, True)
    sync_all()
    found = findings()
    assert found["telephony"] == (True, "trunks: 1, numbers: 1, all on the LiveKit server")
    assert (found["livekit"][0], found["clocks"][0], "no message yet" in found["livekit hook"][1]) == (True, True, True)
    there.change(OUTBOUND, rows()[0].livekit_id, address="evil.example.com")
    sync_all()
    assert "put right: Trunk" in findings()["telephony"][1]


def test_a_change_by_hand_is_noted_and_repaired(number: PhoneNumber, there: There) -> None:
    sync_all()
    trunk, number = rows()
    there.change(OUTBOUND, trunk.livekit_id, address="evil.example.com", numbers=["+12025550000"])
    there.change(INBOUND, number.livekit_id, allowed_addresses=["10.0.0.0/8"])
    there.change(RULE, number.livekit_rule_id, hide_phone_number=True, metadata="")
    sync_all()
    trunk, number = rows()
    assert trunk.drift == (
        "The LiveKit server had address evil.example.com instead of sip.example.com, "
        "numbers +12025550000 instead of +12025557001."
    )
    assert "allowed addresses 10.0.0.0/8 instead of 127.0.0.1/32" in number.drift
    assert "hide phone number True instead of False" in number.drift
    assert None not in (trunk.drifted_at, number.drifted_at)
    assert there.one(OUTBOUND, f"vp:{trunk.public_id}").address == "sip.example.com"
    again = sync_all()
    assert (again.replaced, rows()[0].drifted_at) == (0, trunk.drifted_at)


def test_headers_set_by_hand_stay(number: PhoneNumber, there: There) -> None:
    sync_all()
    trunk, _ = rows()
    info = there.one(OUTBOUND, f"vp:{trunk.public_id}")
    info.headers["X-Ours"] = "yes"
    there.livekit.ask(lambda lk: OUTBOUND.replace(lk, trunk.livekit_id, info))
    assert sync_all().replaced == 0
    trunks.change_trunk(trunk=trunk, address="other.example.com")
    assert sync_all().replaced == 1
    assert there.one(OUTBOUND, f"vp:{trunk.public_id}").headers["X-Ours"] == "yes"


def test_what_was_deleted_by_hand_is_made_again(number: PhoneNumber, there: There) -> None:
    sync_all()
    _, number = rows()
    Holdings(there.livekit, INBOUND).delete(number.livekit_id)
    sync_all()
    _, after = rows()
    assert after.drift.startswith("The inbound trunk was missing on the LiveKit server.")
    assert after.livekit_id != number.livekit_id
    assert list(there.one(RULE, f"vp:{number.public_id}").trunk_ids) == [after.livekit_id]


def test_calls_reach_a_room_and_an_agent_that_is_told_the_number(number: PhoneNumber, there: There, carrier: Carrier) -> None:
    sync_all()
    for called, told in ((PHONE, str(number.pk)), ("+12025557999", None)):
        asyncio.run(carrier.do("call", caller="+12025550001", called=called, patience_s=1))
        [ringing] = [line for line in carrier.leg(to=called) if line["event"] == "ringing"]
        assert ringing["room"].startswith("in_+12025550001_")
        [sent] = there.livekit.ask(lambda lk, room=ringing["room"]: lk.agent_dispatch.list_dispatch(room))
        assert (sent.agent_name, json.loads(sent.metadata)) == ("voice-agent", {"number_id": told})


@pytest.fixture
def committed(transactional_db: None, there: There, make_tenant: Callable[..., Tenant]) -> PhoneNumber:
    with tenant_scope(make_tenant()):
        return make_number(phone=PHONE)


@pytest.fixture
def reconcilers(waiting_processes: WaitingProcesses, server: Supervisor, database_env: dict[str, str]) -> WaitingProcesses:
    database_env |= {**server.exports, "DJANGO_SETTINGS_MODULE": "voiceplatform.settings.test"}
    return waiting_processes


@pytest.mark.parametrize("before", ["create outbound trunk", "create inbound trunk", "create dispatch rule", "store"])
def test_killed_anywhere_it_is_finished_by_the_next_run(
    committed: PhoneNumber, there: There, reconcilers: WaitingProcesses, before: str
) -> None:
    process = reconcilers.start("tests.livekit.reconciling", before)
    go(process)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert there.counts() != (1, 1, 2)
    sync_all()
    assert there.counts() == (1, 1, 2)
    with tenant_scope(committed.tenant_id):
        trunk, number = rows()
    assert there.one(OUTBOUND, f"vp:{trunk.public_id}").sip_trunk_id == trunk.livekit_id
    assert there.one(RULE, f"vp:{number.public_id}").sip_dispatch_rule_id == number.livekit_rule_id
    assert (trunk.drift, number.drift, sync_all().created) == ("", "", 0)


def test_of_several_at_once_one_works(committed: PhoneNumber, there: There, reconcilers: WaitingProcesses) -> None:
    started = [reconcilers.start("tests.livekit.reconciling") for _ in range(3)]
    go(*started)
    told = [json.loads(process.communicate(timeout=30)[0].splitlines()[-1]) for process in started]
    assert sum(each or 0 for each in told) == 4
    assert there.counts() == (1, 1, 2)
