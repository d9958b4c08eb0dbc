"""Handing over, step by step, with colleagues who do as a test says."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.transfers import Target, TransferPolicy
from voice_worker.answering import Heard
from voice_worker.briefing import Confirmation, briefing, hold_sound
from voice_worker.handing import HandOver
from voice_worker.line import NotPutThroughError, NotReachedError
from voice_worker.tests.colleagues import Line
from voice_worker.warm import Transfer

LECTURE = Heard(text="thank you for calling " * 5, speech_s=9, elapsed_s=9)
MAILBOX = Heard(text="Please leave a message after the tone.", speech_s=3, quiet_s=1, elapsed_s=4)


class Run:
    """One transfer over a line, and the steps it has told."""

    def __init__(
        self, line: Line, *, max_hold_s: int = 15, refer: Any = None, answers_within_s: float = 0.3, summary: bool = True
    ) -> None:
        self.steps: list[str] = []
        self.spoken: list[str] = []
        self.left = asyncio.Event()
        self._transfer = Transfer(
            colleagues=line,
            refer=refer,
            hearing=None,  # type: ignore[arg-type]
            voice=self._speak,
            policy=TransferPolicy.model_construct(max_hold_s=max_hold_s, summary=summary),
            note=self._note,
            answers_within_s=answers_within_s,
        )

    async def to(self, *targets: Target) -> tuple[str, str]:
        """Who has the call, and what became of all."""
        done: HandOver = await self._transfer.run(
            targets, reason="Why", summary="Order 7 is late.", phone="", caller_left=self.left
        )
        return done.joined.id if done.joined else "", " ".join(each.outcome for each in done.tried)

    async def _speak(self, text: str) -> bytes:
        self.spoken.append(text)
        return text.encode()

    def _note(self, kind: str, /, **data: Any) -> None:
        self.steps.append(" ".join([kind.removeprefix("transfer_"), data.get("reason", "")]).strip())


def target(number: int, **fields: Any) -> Target:
    return Target(id=str(number), name="somebody", phone=f"+1{number}", **fields)


async def test_who_presses_1_has_the_call() -> None:
    line = Line(p1={"key": "1"})
    run = Run(line)
    assert await run.to(target(1)) == ("1", "joined")
    assert run.steps == ["dialing", "answered", "briefed", "confirmed", "joined"]
    assert (line.joined, line.dismissed) == (["target-1"], [])


@pytest.mark.parametrize(
    ("phone", "outcome", "reason"),
    [
        ({"key": "2"}, "declined", "declined"),
        ({"words": "No, not now."}, "declined", "declined"),
        ({}, "declined", "declined"),
        ({"leaves": True}, "declined", "hung_up"),
        ({"heard": MAILBOX}, "voicemail", "voicemail"),
        ({"heard": LECTURE}, "voicemail", "voicemail"),
        (NotReachedError("busy", "busy"), "busy", "busy"),
        (RuntimeError("a bug"), "failed", "RuntimeError"),
    ],
    ids=["2", "no", "silent", "hangs up", "mailbox", "lecture", "busy", "broken"],
)
async def test_who_does_not_take_it_is_dismissed_and_the_next_one_called(phone: Any, outcome: str, reason: str) -> None:
    line = Line(p1=phone, p2={"words": "Yes, put them through.", "after": 2})
    run = Run(line)
    assert await run.to(target(2, priority=200), target(1)) == ("2", f"{outcome} joined")
    assert f"failed {reason}" in run.steps
    assert [identity for identity, _ in line.dismissed] == ["target-1"]
    assert line.joined == ["target-2"]


async def test_a_yes_before_the_question_is_a_greeting() -> None:
    assert await Run(Line(p1={"words": "Yes?", "after": 0})).to(target(1)) == ("", "declined")
    assert await Run(Line(p1={"words": "Yes.", "after": 1, "lasts_s": 0.2})).to(target(1)) == ("", "declined")
    assert await Run(Line(p1={"key": "1", "after": 0})).to(target(1)) == ("1", "joined")


async def test_a_yes_that_breaks_in_on_the_question_counts() -> None:
    run = Run(Line(p1={"words": "Yes.", "after": 2, "lasts_s": 0.2}), answers_within_s=0)
    assert await run.to(target(1)) == ("1", "joined")
    assert run.steps == ["dialing", "answered", "confirmed", "joined"]


async def test_who_does_not_answer_is_asked_once_more() -> None:
    run = Run(Line(p1={"words": "Yes.", "after": 3}))
    assert await run.to(target(1)) == ("1", "joined")
    assert run.steps == ["dialing", "answered", "briefed", "briefed", "confirmed", "joined"]


async def test_a_queue_is_joined_without_a_word() -> None:
    run = Run(Line(p1={"heard": MAILBOX}))
    assert await run.to(target(1, kind="queue")) == ("1", "joined")
    assert run.steps == ["dialing", "answered", "joined"]


async def test_nobody_is_called_outside_their_hours() -> None:
    today = datetime.now(UTC).isoweekday()
    now, another = ([{"weekdays": [day], "starts_at": "00:00", "ends_at": "24:00"}] for day in (today, (today + 2) % 7 + 1))
    line = Line(p1={"key": "1"}, p2={"key": "1"})
    assert await Run(line).to(target(1, hours=another), target(2, hours=now)) == ("2", "closed joined")
    assert line.dismissed == []


async def test_the_caller_waits_no_longer_than_set() -> None:
    line = Line(p1=None, p2={"key": "1"})
    run = Run(line, max_hold_s=1)
    assert await run.to(target(1), target(2)) == ("", "no_answer")
    assert run.steps == ["dialing", "failed held_too_long"]
    assert line.dismissed == [("target-1", "given_up")]


async def test_who_is_dialed_when_the_caller_leaves_is_hung_up_on() -> None:
    line = Line(p1=None)
    run = Run(line)
    asyncio.get_running_loop().call_later(0.1, run.left.set)
    async with asyncio.timeout(5):
        assert await run.to(target(1)) == ("", "caller_left")
    assert line.dismissed == [("target-1", "given_up")]


async def test_who_hangs_up_instead_of_answering_is_not_waited_for() -> None:
    run = Run(Line(p1={"leaves": True}, p2={"key": "1"}), answers_within_s=60, max_hold_s=60)
    async with asyncio.timeout(10):
        assert await run.to(target(1), target(2)) == ("2", "declined joined")


async def test_the_summary_is_told_where_it_is_wanted() -> None:
    for wanted in (True, False):
        run = Run(Line(p1={"key": "1"}), summary=wanted)
        await run.to(target(1))
        assert ("Order 7 is late" in run.spoken[0]) == wanted


async def test_a_join_under_way_when_the_wait_is_over_is_finished() -> None:
    class Slow(Line):
        async def join(self, colleague: Any) -> bool:
            await asyncio.sleep(2)
            return await super().join(colleague)

    line = Slow(p1={"key": "1", "after": 0})
    assert await Run(line, max_hold_s=1).to(target(1)) == ("1", "joined")
    assert line.dismissed == []


async def test_a_call_that_ended_during_the_join_is_nobodys() -> None:
    line = Line(p1={"key": "1"})
    line.is_open = False
    assert await Run(line).to(target(1)) == ("", "caller_left")
    assert line.dismissed == [("target-1", "hung_up")]


async def test_a_blind_one_is_put_through_and_the_reason_told_if_not() -> None:
    async def refer(phone: str) -> None:
        if phone == "+11":
            raise NotPutThroughError("busy")
        # Who is put through leaves before we are told so.
        run.left.set()
        await asyncio.sleep(0.1)

    run = Run(Line(), refer=refer)
    assert await run.to(target(1, mode="blind"), target(2, mode="blind")) == ("2", "busy joined")


async def test_a_blind_one_who_may_not_be_called_any_more_is_not_put_through() -> None:
    asked: list[str] = []

    async def refer(phone: str) -> None:
        asked.append(phone)

    line = Line()
    line.refused = {"+11"}
    run = Run(line, refer=refer)
    assert await run.to(target(1, mode="blind"), target(2, mode="blind")) == ("2", "failed joined")
    assert (asked, run.steps[0]) == (["+12"], "failed refused")


def test_the_first_answer_counts_and_other_keys_are_none() -> None:
    said = Confirmation()
    said.key("7")
    assert said.answer is None
    said.key("2")
    said.key("1")
    assert said.answer == "declined"


def test_a_briefing_tells_who_why_and_how_to_answer() -> None:
    told, question = briefing(reason="They want  a refund", summary="Order 7 is late.", phone="+12025550141")
    assert told == (
        "Hello. I have a caller on the line for you, from the number that ends in 0 1 4 1. They want a refund. Order 7 is late."
    )
    assert question == "To take the call, press 1 or say yes. To decline, press 2 or say no."
    assert briefing(reason="other", summary="", phone="")[0] == "Hello. I have a caller on the line for you."


def test_the_hold_sound_is_soft_and_comes_in_whole_frames() -> None:
    sound = hold_sound()
    assert len(sound) % 480 == 0
    assert 1000 < abs(sound).max() < 3000
    assert not sound[-24_000:].any()
