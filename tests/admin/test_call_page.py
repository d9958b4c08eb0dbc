"""The page of a call: what it says, what it escapes, and that it stays usable for any length."""

import json
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from calls.admin.explain import explain
from calls.endings import REASONS
from calls.models import Call, CallCommand, CallEvent, Message, ToolCall, Turn
from tenants.models import AuditEvent, Tenant, UsageRecord
from tenants.scope import tenant_scope
from tests.admin.conftest import House, add_turns

HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(2)> '{{ 7|add:7 }}' \u202e مرحبا"


def page_of(client: Client, house: House, name: str = "change", **params: object) -> str:
    response = client.get(reverse(f"admin:calls_call_{name}", args=[house.call.pk]), params)
    assert response.status_code == 200
    return str(response.content.decode())


def test_it_shows_the_conversation_its_cost_and_why_it_ended(root: Client, house: House) -> None:
    with tenant_scope(house.tenant):
        UsageRecord.objects.create(
            subject_type="call",
            subject_id=house.call.pk,
            kind="llm",
            provider="google",
            model="gemini",
            unit="input_token",
            quantity=1500,
            cost=Decimal("0.003"),
            rate_price=2,
            rate_per=1_000_000,
            rate_currency="USD",
        )
    page = page_of(root, house)
    assert "The caller hung up." in page
    assert all(f"turn {number}" in page for number in range(4))
    assert "1,500 input tokens" in page
    assert "$0.003000" in page
    assert "555 0100" in page
    assert house.agent.name in page


def test_a_missing_price_is_a_warning(root: Client, house: House) -> None:
    with tenant_scope(house.tenant):
        UsageRecord.objects.create(
            subject_type="call", subject_id=house.call.pk, kind="tts", provider="acme", model="v1", unit="character", quantity=3
        )
        Call.objects.filter(pk=house.call.pk).update(cost_missing=["acme v1 (character): no price"])
    page = page_of(root, house)
    assert "The total is incomplete." in page
    assert "acme v1 (character): no price" in page
    assert "no price</span>" in page


def test_what_people_say_and_tools_answer_is_escaped_everywhere(root: Client, house: House) -> None:
    with tenant_scope(house.tenant):
        call = house.call
        Turn.objects.filter(call=call).update(text=HOSTILE)
        ToolCall.objects.create(
            call=call, sequence=9, key=HOSTILE[:20], arguments={HOSTILE: HOSTILE}, status="error", output=HOSTILE
        )
        Message.objects.create(call=call, key="x", caller_name=HOSTILE, phone="<b>1", reason=HOSTILE, taken_at=call.created_at)
        CallEvent.objects.create(call=call, kind="note", at=call.created_at, data={HOSTILE: HOSTILE})
        Call.objects.filter(pk=call.pk).update(ended_detail=HOSTILE, metadata={HOSTILE: HOSTILE}, variables={"a": HOSTILE})
    lists = [root.get(reverse(f"admin:calls_{name}_changelist")).content.decode() for name in ("call", "message")]
    for page in [page_of(root, house), page_of(root, house, "turns"), page_of(root, house, "live", stay=1), *lists]:
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "14" not in re.findall(r"'(14)'", page)


def test_a_long_transcript_comes_in_pages(root: Client, house: House) -> None:
    with tenant_scope(house.tenant):
        house.call.turns.all().delete()
        add_turns(house.call, count=2200)
    page = page_of(root, house)
    assert page.count('class="vp-turn vp-turn-') == 100
    assert page.count("vp-turns-pending") == 21
    assert len(page) < 700_000
    index = json.loads(re.search(r'id="turn-index" type="application/json">(.*?)</script>', page)[1])  # type: ignore[index]
    assert (len(index), index[-1]) == (2200, [2199, 2_199_000, 2_199_900, 21])
    last = page_of(root, house, "turns", page=21)
    assert last.count('class="vp-turn vp-turn-') == 100
    assert "turn 2199" in last
    assert page_of(root, house, "turns", page=99).count("vp-turn-meta") == 0
    assert "Show later answers" in page


def test_tools_stand_between_the_turns_around_them(root: Client, house: House) -> None:
    page = page_of(root, house, "turns")
    order = [page.index(text) for text in ("turn 2<", "End the call", "turn 3<")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ('{"ok": true, "say": "Your message is noted."}', [("say", "Your message is noted.")]),
        ('{"ok": true}', []),
        ('{"ok": false, "missing": ["phone"]}', [("missing", "phone")]),
        ("cut off {", [("answer", "cut off {")]),
        ("[1]", [("answer", "[1]")]),
        ("", []),
    ],
)
def test_what_a_tool_told_the_agent_is_in_words(root: Client, house: House, output: str, told: list[tuple[str, str]]) -> None:
    with tenant_scope(house.tenant):
        ToolCall.objects.filter(call=house.call).update(output=output)
    response = root.get(reverse("admin:calls_call_change", args=[house.call.pk]))
    assert [tool["told"] for tool in response.context["tools"]] == [told]


def test_an_empty_call_says_so(root: Client, make_house: Callable[..., House]) -> None:
    house = make_house()
    with tenant_scope(house.tenant):
        house.call.turns.all().delete()
    page = page_of(root, house)
    assert "Nothing was said" in page
    assert "No answers measured" in page
    assert "There is no recording of this call" in page


def test_a_running_call_is_followed_until_it_ends(root: Client, make_house: Callable[..., House]) -> None:
    house = make_house(status="in_progress", finalized=False)
    assert 'hx-trigger="every 2s' in page_of(root, house)
    assert "turn 3" in page_of(root, house, "live")
    assert "Answers heard after" not in page_of(root, house), "figures that would not follow the call"
    assert page_of(root, house).count("vp-live") == 1, "a state that would not follow the call"
    with tenant_scope(house.tenant):
        Call.objects.filter(pk=house.call.pk).update(
            status="ended", disposition="completed", ended_reason="end_call", ended_at=house.call.answered_at
        )
    ended = root.get(reverse("admin:calls_call_live", args=[house.call.pk]))
    assert ended["HX-Refresh"] == "true"
    assert 'hx-trigger="every 2s' not in page_of(root, house)


def test_hanging_up_needs_its_permission_and_a_reason(staff: Callable[..., Client], make_house: Callable[..., House]) -> None:
    house = make_house(status="in_progress", finalized=False)
    url = reverse("admin:calls_call_hang_up", args=[house.call.pk])
    assert staff(house.tenant, "view_call").post(url, {"reason": "because"}).status_code == 403
    allowed = staff(house.tenant, "view_call", "hang_up_call")
    assert allowed.get(url).status_code == 405
    allowed.post(url, {"reason": " "})
    with tenant_scope(house.tenant):
        assert not CallCommand.objects.exists()
    allowed.post(url, {"reason": "The caller is abusive"})
    with tenant_scope(house.tenant):
        command = CallCommand.objects.get()
    assert (command.kind, command.reason, command.call_id) == ("hang_up", "The caller is abusive", house.call.pk)
    assert command.actor is not None


@pytest.mark.parametrize("reason", REASONS)
def test_every_known_failure_says_what_to_do_next(reason: str) -> None:
    told = explain(Call(status="ended", disposition="failed", ended_reason=reason, ended_detail="503 <b>"))
    assert told.sentence.endswith("503 <b>")
    assert (told.tone, bool(told.next_step)) == ("danger", True)


@pytest.mark.parametrize(("reason", "tone"), [("end_call", "success"), ("silence", "warning"), ("no_such_reason", "success")])
def test_the_tone_follows_how_it_ended(reason: str, tone: str) -> None:
    assert explain(Call(status="ended", disposition="completed", ended_reason=reason)).tone == tone
    assert explain(Call(status="queued")).sentence == "Waiting for a worker host to take it."


def test_messages_are_marked_as_read_by_those_who_may(staff: Callable[..., Client], house: House, root: Client) -> None:
    url = reverse("admin:calls_message_read", args=[house.message.pk])
    assert staff(house.tenant, "view_message").post(url).status_code == 403
    staff(house.tenant, "view_message", "change_message").post(url)
    house.message.refresh_from_db()
    assert house.message.read_at is not None
    assert house.message.read_by is not None
    with tenant_scope(house.tenant):
        assert AuditEvent.objects.filter(action="message.read", target_id=house.message.pk).count() == 1


def test_messages_of_several_tenants_are_marked_at_once(root: Client, house: House, foreign: House) -> None:
    data = {"action": "mark_as_read", "_selected_action": [str(house.message.pk), str(foreign.message.pk)], "index": "0"}
    assert root.post(reverse("admin:calls_message_changelist"), data).status_code == 302
    for found in (house, foreign):
        found.message.refresh_from_db()
        assert found.message.read_at is not None
        with tenant_scope(found.tenant):
            assert AuditEvent.objects.filter(action="message.read").count() == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"show": "bad_today"}, False),
        ({"show": "no_recording"}, True),
        ({"show": "live_now"}, False),
        ({"mode": "live"}, False),
        ({"mode": "test"}, True),
        ({"cost_above": "100"}, False),
        ({"cost_above": "nonsense"}, True),
        ({"created_at_from": "2020-01-01", "created_at_to": "2020-01-31"}, False),
        ({"created_at_from": "not a day"}, True),
        ({"disposition__exact": "completed", "kind__exact": "simulated"}, True),
    ],
)
def test_filters_answer_an_operators_questions(
    root_of: Callable[[Tenant], Client], house: House, query: dict, found: bool
) -> None:
    page = root_of(house.tenant).get(reverse("admin:calls_call_changelist"), query)
    assert page.status_code == 200
    assert (house.call.public_id in page.content.decode()) is found


def test_a_call_is_found_by_its_public_id(root: Client, house: House, foreign: House) -> None:
    page = root.get(reverse("admin:calls_call_changelist"), {"q": house.call.public_id}).content.decode()
    assert house.call.public_id in page
    assert foreign.call.public_id not in page


def test_events_of_telephony_are_in_words(root: Client, house: House) -> None:
    happened = [
        ("inbound_hook", {"duration_ms": 12, "status": 200, "problem": ""}),
        ("inbound_hook", {"duration_ms": 2000, "status": None, "problem": "It did not answer in time."}),
        ("dial_ended", {"is_attempt": True, "retry": "later"}),
        ("dial_ended", {"is_attempt": False, "retry": "never"}),
        ("dial_ended", {}),
    ]
    with tenant_scope(house.tenant):
        for kind, data in happened:
            CallEvent.objects.create(call=house.call, kind=kind, at=house.call.created_at, data=data)
        Call.objects.filter(pk=house.call.pk).update(answered_by="human")
    page = page_of(root, house)
    for told in (
        "was asked, and answered after 12 ms.",
        "decided nothing (after 2000 ms): It did not answer in time.",
        "It counts as a try to reach the person. Trying again later makes sense.",
        "It is not counted as a try to reach them. Trying again is of no use",
        "Answered by</dt><dd>a person",
    ):
        assert told in page
    assert "is attempt" not in page


def test_it_says_why_a_caller_was_not_recorded(root: Client, house: House) -> None:
    with tenant_scope(house.tenant):
        told = {"answer": "no", "turn": 3, "at_ms": 4000}
        CallEvent.objects.create(call=house.call, kind="recording_consent", at=house.call.ended_at, data=told)
    assert "The caller did not want to be recorded, so there is no recording." in page_of(root, house)
