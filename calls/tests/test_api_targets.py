"""Transfer targets through the API."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Agent
from agents.testing import make_agent
from calls.models import CallCommand
from conftest import ApiClient
from tenants.models import AuditEvent, TenantLimits

PHONE = "+12125550123"
NEW = {"name": "Front desk", "phone": "+1 (212) 555-0123", "when": "Appointments."}
NIGHTS = [{"weekdays": [5, 6], "starts_at": "22:00", "ends_at": "02:00"}]


@pytest.fixture(autouse=True)
def _in_the_states(within: Callable[..., Any]) -> None:
    within(lambda: TenantLimits.objects.update(allowed_countries=["US"]))


def made(api: ApiClient, **fields: Any) -> dict[str, Any]:
    answer = api.post("transfer_targets", {**NEW, **fields})
    assert answer.status_code == 201, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def refusal(answer: Any) -> tuple[int, str, list[str]]:
    return answer.status_code, answer.json()["code"], [error["param"] for error in answer.json().get("errors", [])]


def test_a_target_is_created_read_changed_and_deleted(api: ApiClient, within: Callable[..., Any]) -> None:
    shown = made(api, hours=NIGHTS, timezone="America/Chicago")
    at = f"transfer_targets/{shown['id']}"
    assert shown["id"].startswith("tgt_")
    assert (shown["phone"], shown["hours"], shown["mode"], shown["ring_s"], shown["enabled"]) == (PHONE, NIGHTS, "warm", 25, True)
    assert api.get(at).json() == shown
    changed = api.patch(at, {"enabled": False, "mode": "blind"}).json()
    assert changed == {**shown, "enabled": False, "mode": "blind"}
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404
    actions = within(
        lambda: list(AuditEvent.objects.filter(action__startswith="transfer_target").values_list("action", flat=True))
    )
    assert sorted(actions) == [f"transfer_target.{what}" for what in ("changed", "created", "deleted")]


def test_targets_are_listed_by_state_kind_and_name(api: ApiClient) -> None:
    made(api)
    made(api, name="Sales queue", kind="queue", enabled=False)

    def names(**query: str) -> list[str]:
        return sorted(row["name"] for row in api.get("transfer_targets", data=query).json()["data"])

    assert names() == ["Front desk", "Sales queue"]
    assert (names(enabled="true"), names(enabled="false")) == (["Front desk"], ["Sales queue"])
    assert (names(kind="queue"), names(name="desk")) == (["Sales queue"], ["Front desk"])
    assert api.get("transfer_targets", data={"colour": "red"}).status_code == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"phone": "+19005550123"}, "phone"), ({"phone": "911"}, "phone"), ({"digits": "A"}, "digits"), ({"ring_s": 4}, "ring_s")],
)
def test_what_does_not_fit_is_named(api: ApiClient, fields: dict[str, Any], param: str) -> None:
    status, _, params = refusal(api.post("transfer_targets", {**NEW, **fields}))
    assert (status, params) == (400, [param])


def test_names_and_use_are_conflicts(api: ApiClient, within: Callable[..., Any]) -> None:
    shown = made(api)
    assert refusal(api.post("transfer_targets", NEW))[:2] == (409, "name_taken")
    within(make_agent, settings={"transfer": {"targets": [shown["id"]]}}, published=False)
    assert refusal(api.delete(f"transfer_targets/{shown['id']}"))[:2] == (409, "in_use")


def test_an_agent_is_told_its_targets_and_publishing_checks_them(api: ApiClient, agent: Agent) -> None:
    at = f"agents/{agent.public_id}"
    assert api.post(f"{at}/draft").status_code == 201
    assert api.patch(f"{at}/draft", {"tools": {"hand_over_to_person": {}}}).status_code == 200
    assert refusal(api.post(f"{at}/publish")) == (400, "invalid", ["settings.transfer.targets"])
    draft = api.patch(f"{at}/draft", {"settings": {"transfer": {"targets": [made(api)["id"]]}}})
    assert draft.json()["settings"]["transfer"]["hold_sound"] is True
    assert api.post(f"{at}/publish").status_code == 200


def test_a_strangers_target_is_not_there(api: ApiClient, stranger: ApiClient) -> None:
    at = f"transfer_targets/{made(api)['id']}"
    answers = [stranger.get(at), stranger.patch(at, {"enabled": False}), stranger.delete(at)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert stranger.get("transfer_targets").json()["data"] == []


def test_a_strangers_target_takes_no_call(
    api: ApiClient, stranger: ApiClient, placed: Callable[..., Any], within: Callable[..., Any]
) -> None:
    call = placed(status="in_progress")
    theirs = {"type": "transfer", "target_id": made(api)["id"]}
    status, _, params = refusal(stranger.post(f"calls/{call.public_id}/actions", theirs))
    assert (status, params) in [(404, []), (400, ["target_id"])]
    assert not within(CallCommand.objects.exists)
