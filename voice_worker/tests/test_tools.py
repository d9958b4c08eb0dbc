"""Tools in text sessions: what a model asks for, and what the platform lets it do."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from livekit.agents import Agent, AgentSession
from livekit.agents.llm import FunctionCallOutput, RawFunctionTool

from agents.pipeline import Digits
from agents.tools import TOOLS
from agents.transfers import Target, TransferPolicy
from voice_worker.conversation import CLOSE_S
from voice_worker.handing import HandOver, Tried
from voice_worker.keys import NoKeysError, shown
from voice_worker.providers.constant import Rule, RuleLLM
from voice_worker.snapshot import Grant
from voice_worker.tools.arguments import BadArgumentsError, checked
from voice_worker.tools.builder import MOST_USES, Toolbox, build_tools

FEATURE = "voice-agent-tool-take-message"
GIVEN = {"caller_name": "Maria Lopez", "phone": "512 555 0143", "reason": "insurance"}
SAID = ["This is Maria Lopez, call me about my insurance.", "My number is 512, 555, 0143."]
GRANTS = [Grant(key="end_call", config={}), Grant(key="press_digits", config={}), Grant(key="take_message", config={})]


class Desk:
    def __init__(self, said: Sequence[str] = SAID, *, most: int = 2) -> None:
        self.said = list(said)
        self.features: dict[str, Mapping[str, Any]] = {FEATURE: {"max_per_call": most}}
        self.entries: list[Mapping[str, Any]] = []
        self.kept: list[Mapping[str, Any]] = []
        self.disk_full = self.silenced = False
        self.leaving = 0
        self.is_paused = False
        self.has_keys, self.pressed = True, list[str]()
        self.handed: list[dict[str, str]] = []

    def caller_said(self) -> Sequence[str]:
        return self.said

    def feature(self, key: str) -> Mapping[str, Any] | None:
        return self.features.get(key)

    def is_silenced(self) -> bool:
        return self.silenced

    def append(self, entry: Mapping[str, Any]) -> None:
        self.entries.append(entry)

    async def keep(self, entry: Mapping[str, Any]) -> None:
        if self.disk_full:
            raise OSError("no space left on device")
        self.kept.append(entry)

    def hang_up_after(self, speech: object) -> None:
        self.leaving += 1

    async def press_keys(self, digits: str) -> None:
        if not self.has_keys:
            raise NoKeysError
        self.pressed.append(digits)

    async def hand_over(self, **asked: str) -> HandOver:
        self.handed.append(asked)
        return HandOver(joined=None, tried=[Tried(TARGETS.targets[0], "no_answer")])

    def show_keys(self, keys: str) -> str:
        return shown(keys, Digits())

    def pause_recording(self) -> bool:
        self.is_paused = True
        return True

    def resume_recording(self) -> bool:
        self.is_paused = False
        return True

    def now_iso(self) -> str:
        return "2026-01-05T12:00:00+00:00"

    def now_ms(self) -> int:
        return 1500


async def use(desk: Desk, tool: str, *arguments: Any, backend_decides: bool = True) -> list[dict[str, Any]]:
    """What the model is told for each use of a tool with these arguments."""
    box = Toolbox(call_id=UUID(int=7), desk=desk, backend_decides=backend_decides)
    return await used(build_tools(GRANTS, box=box), tool, *arguments)


async def used(tools: Sequence[RawFunctionTool], tool: str, *arguments: Any) -> list[dict[str, Any]]:
    model = RuleLLM([Rule(hears="")])
    outputs = []
    async with AgentSession(llm=model) as session:
        await session.start(Agent(instructions="", tools=list(tools)))
        for given in arguments:
            model.rules = [Rule(hears="", tool=tool, arguments=given)]
            result = await session.run(user_input="go")
            outputs += [event.item for event in result.events if isinstance(event.item, FunctionCallOutput)]
    return [json.loads(output.output) for output in outputs]


TARGETS = TransferPolicy(targets=[Target(id="tgt_1", name="Front desk", phone="+12125550123", when="Bills.")])
ASKED = {"reason": "complaint", "target": "Front desk", "summary": "A bill."}


def handing_over(desk: Desk, policy: TransferPolicy) -> list[RawFunctionTool]:
    box = Toolbox(call_id=UUID(int=7), desk=desk, backend_decides=True, transfers=policy)
    return build_tools([Grant(key="hand_over_to_person", config={})], box=box)


def test_the_tool_to_hand_over_knows_the_versions_targets_alone() -> None:
    [tool] = handing_over(Desk(), TARGETS)
    assert tool.info.raw_schema["parameters"]["properties"]["target"]["enum"] == ["Front desk"]
    assert "+1212" not in str(tool.info.raw_schema)
    assert handing_over(Desk(), TransferPolicy()) == []


@pytest.mark.parametrize(
    "change", [{"target": "+12125550199"}, {"target": "Nobody"}, {"reason": "bored"}, {"phone": "+12125550199"}]
)
async def test_a_model_hands_over_to_nobody_else(change: dict[str, str]) -> None:
    desk = Desk()
    [output] = await used(handing_over(desk, TARGETS), "hand_over_to_person", {**ASKED, **change})
    assert (output["ok"], desk.handed) == (False, [])


async def test_a_model_hands_over_by_name() -> None:
    desk = Desk()
    [output] = await used(handing_over(desk, TARGETS), "hand_over_to_person", ASKED)
    assert desk.handed == [{"chosen": "Front desk", "reason": "complaint", "summary": "A bill."}]
    assert (output["ok"], "Front desk did not answer" in output["error"]) == (False, True)


async def test_a_message_is_stored_and_read_back_digit_by_digit() -> None:
    desk = Desk()
    [output] = await use(desk, "take_message", GIVEN)
    read_back = "I have Maria Lopez, 5 1 2, 5 5 5, 0 1 4 3, about insurance. Is that right?"
    assert output == {"ok": True, "say": read_back, "to_be_confirmed": True}
    assert [(m["key"], m["caller_name"], m["phone"], m["reason"]) for m in desk.kept] == [("message-1", *GIVEN.values())]
    [record] = desk.entries
    assert (record["key"], record["status"], record["sequence"], record["started_ms"]) == ("take_message", "ok", 1, 1500)


@pytest.mark.parametrize(
    ("said", "slot", "asks"),
    [
        (["Call me about my insurance, 512 555 0143."], "caller_name", "your name"),
        (["This is Maria Lopez about insurance.", "512 555 0144"], "phone", "the number"),
        (["This is Maria Lopez, 512 555 0143."], "reason", "about"),
    ],
)
async def test_a_value_the_caller_never_said_is_refused(said: list[str], slot: str, asks: str) -> None:
    desk = Desk(said)
    [output] = await use(desk, "take_message", GIVEN)
    assert output["ok"] is False
    assert output["missing"] == [slot]
    assert asks in output["say"]
    assert desk.kept == []


async def test_nothing_is_written_down_in_a_pause() -> None:
    desk = Desk()
    desk.pause_recording()
    [output] = await use(desk, "take_message", GIVEN)
    assert "paused" in output["say"]
    desk.resume_recording()
    assert (await use(desk, "take_message", GIVEN))[0]["ok"]
    assert len(desk.kept) == 1


async def test_a_missing_value_is_asked_for() -> None:
    desk = Desk()
    [output] = await use(desk, "take_message", {"caller_name": "Maria Lopez", "phone": "  "})
    assert output == {"ok": False, "missing": ["phone", "reason"], "say": "What number can we reach you on?"}
    assert desk.kept == []


async def test_a_correction_changes_the_same_message_and_a_repetition_nothing() -> None:
    desk = Desk([*SAID, "No, it ends in 0199."])
    outputs = await use(desk, "take_message", GIVEN, GIVEN, {**GIVEN, "phone": "512 555 0199"})
    assert outputs[1]["say"].startswith("Your message is noted")
    assert [(entry["key"], entry["phone"]) for entry in desk.kept] == [
        ("message-1", "512 555 0143"),
        ("message-1", "512 555 0199"),
    ]


async def test_another_matter_is_another_message_up_to_the_tenants_limit() -> None:
    desk = Desk([*SAID, "And about my crown.", "And the parking."], most=2)
    outputs = await use(
        desk, "take_message", *({**GIVEN, "reason": reason} for reason in ("insurance", "my crown", "the parking"))
    )
    assert [entry["key"] for entry in desk.kept] == ["message-1", "message-2"]
    assert outputs[2]["ok"] is False


async def test_a_feature_switched_off_takes_the_tool_away_at_once() -> None:
    desk = Desk()
    box = Toolbox(call_id=UUID(int=7), desk=desk, backend_decides=True)
    tools = build_tools(GRANTS, box=box)
    desk.features.clear()
    assert [tool.id for tool in tools] == ["end_call", "press_digits", "take_message"]
    assert [tool.id for tool in build_tools(GRANTS, box=box)] == ["end_call", "press_digits"]
    desk.features[FEATURE] = {"max_per_call": 1}


async def test_without_the_backends_say_the_grant_is_enough() -> None:
    desk = Desk()
    desk.features.clear()
    [output] = await use(desk, "take_message", GIVEN, backend_decides=False)
    assert output["ok"] is True


HOSTILE = [
    {"caller_name": "x" * 5000, "phone": "1", "reason": "r"},
    {"caller_name": ["Maria"], "phone": "512 555 0143", "reason": "insurance"},
    {**GIVEN, "tenant_id": "another"},
    {**GIVEN, "phone": True},
    {"caller_name": "Robert'); DROP TABLE calls_message;--", "phone": "512 555 0143", "reason": "insurance"},
    {**GIVEN, "caller_name": "\x00\ud800"},
]


@pytest.mark.parametrize("arguments", HOSTILE)
async def test_hostile_arguments_store_nothing(arguments: dict[str, Any]) -> None:
    desk = Desk()
    [output] = await use(desk, "take_message", arguments)
    assert output["ok"] is False
    assert desk.kept == []
    assert len(json.dumps(desk.entries[0])) < 3000


async def test_a_disk_that_is_full_is_told_honestly() -> None:
    desk = Desk()
    desk.disk_full = True
    [output] = await use(desk, "take_message", GIVEN)
    assert (output["ok"], desk.entries[0]["status"]) == (False, "error")
    assert "cannot" in output["say"]


async def test_a_tool_has_a_budget() -> None:
    desk = Desk()
    outputs = await use(desk, "take_message", *[GIVEN] * (MOST_USES + 1))
    assert [output["ok"] for output in outputs] == [True] * MOST_USES + [False]
    assert len({entry["idempotency_key"] for entry in desk.entries}) == 1


async def test_ending_the_call_waits_for_the_words() -> None:
    desk = Desk()
    [output] = await use(desk, "end_call", {})
    assert (output, desk.leaving) == ({"ok": True}, 1)


SCHEMA = {
    "properties": {
        "day": {"type": "string", "enum": ["mon", "tue"]},
        "hour": {"type": "integer", "minimum": 0, "maximum": 23},
        "sure": {"type": "boolean"},
    },
    "required": ["day"],
}


def test_arguments_are_checked_against_their_schema() -> None:
    assert checked({"day": " mon ", "hour": 9, "sure": True}, schema=SCHEMA) == ({"day": "mon", "hour": 9, "sure": True}, [])
    assert checked({"hour": None}, schema=SCHEMA) == ({}, ["day"])


@pytest.mark.parametrize("given", [[], "mon", {"day": "sun"}, {"day": "mon", "hour": 24}, {"day": "mon", "hour": True}, {"x": 1}])
def test_bad_arguments_are_named(given: object) -> None:
    with pytest.raises(BadArgumentsError):
        checked(given, schema=SCHEMA)


@pytest.mark.parametrize(
    ("digits", "pressed"),
    [("1", ["1"]), ("12 34#", ["1234#"]), ("ww1*", ["ww1*"]), ("9A", []), ("1" * 33, []), ("w" * 20, []), ("+49", [])],
)
async def test_keys_are_pressed_as_they_are_allowed(digits: str, pressed: list[str]) -> None:
    desk = Desk()
    [output] = await use(desk, "press_digits", {"digits": digits})
    assert (desk.pressed, output["ok"]) == (pressed, bool(pressed))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"digits": "1#"}, {"digits": "1#"}),
        ({"digits": "12w34#"}, {"digits": "••w••#"}),
        ({"digits": 1234}, {"digits": "••••"}),
        ({"digits": "9" * 60}, {"digits": "•" * 60}),
        ({"keys": ["1234"]}, {"keys": "['••••']"}),
    ],
)
async def test_keys_are_kept_as_they_are_shown(given: dict[str, Any], kept: dict[str, str]) -> None:
    desk = Desk()
    await use(desk, "press_digits", given)
    assert desk.entries[0]["arguments"] == kept


async def test_a_tool_that_is_cut_off_is_written_down_as_unknown() -> None:
    desk, pressing = Desk(), asyncio.Event()

    async def press_for_ever(_digits: str) -> None:
        pressing.set()
        await asyncio.sleep(600)

    desk.press_keys = press_for_ever  # type: ignore[method-assign]
    box = Toolbox(call_id=UUID(int=7), desk=desk, backend_decides=True)
    [tool] = build_tools([Grant(key="press_digits", config={})], box=box)
    using: Any = asyncio.ensure_future(tool({"digits": "1"}, SimpleNamespace(speech_handle=None)))
    await pressing.wait()
    using.cancel()
    await asyncio.wait([using])
    [record] = desk.entries
    assert (record["status"], "not known" in record["output"]) == ("error", True)


def test_a_call_is_closed_after_its_tools() -> None:
    assert all(spec.longest_s < CLOSE_S for spec in TOOLS.values())


async def test_without_a_phone_no_keys_are_pressed() -> None:
    desk = Desk()
    desk.has_keys = False
    [output] = await use(desk, "press_digits", {"digits": "1"})
    assert output == {"ok": False, "error": "Keys can be pressed in phone calls only."}
    assert desk.entries[0]["status"] == "refused"
