"""Handing a call over: one person after the other is called and asked, while the caller waits."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import structlog
from livekit.agents import stt

from agents.transfers import Target, TransferPolicy
from calls.services.hours import weekly
from calls.windows import is_open
from voice_worker.answering import judge, machine_of
from voice_worker.briefing import ANSWERS_WITHIN_S, Confirmation, briefing
from voice_worker.handing import HandOver, Outcome, Tried
from voice_worker.line import Colleague, Colleagues, NotPutThroughError, NotReachedError, Refer

logger = structlog.get_logger(__name__)

_STEP_S: Final = 0.05
_SILENT_S: Final = 1.2
"""Who says nothing when they have answered is talked to after so long."""
_GREETING_S: Final = 8.0
_LONG_GREETING_WORDS: Final = 15
_ASKED_TIMES: Final = 2
_MAILBOXES: Final = ("machine_vm", "machine_unavailable")
_PUT_THROUGH: Final[dict[str, Outcome]] = {"busy": "busy", "no_answer": "no_answer", "declined": "declined"}

T = TypeVar("T")


class Note(Protocol):
    def __call__(self, kind: str, /, **data: Any) -> None: ...


class Transfer:
    """One attempt to hand one call over. The caller is held when it begins, and either joined or held when it has ended."""

    def __init__(
        self,
        *,
        colleagues: Colleagues,
        refer: Refer,
        hearing: stt.STT,
        voice: Callable[[str], Awaitable[bytes]],
        policy: TransferPolicy,
        note: Note,
        answers_within_s: float = ANSWERS_WITHIN_S,
    ) -> None:
        self._colleagues, self._refer = colleagues, refer
        self._hearing, self._voice = hearing, voice
        self._policy, self._note = policy, note
        self._answers_within_s = answers_within_s
        self._tried: list[Tried] = []
        self._trying: Target | None = None
        self._is_joining = False

    async def run(
        self, targets: Sequence[Target], *, reason: str, summary: str, phone: str, caller_left: asyncio.Event, first: int = 1
    ) -> HandOver:
        """`phone` is the caller's; colleagues are counted from `first`."""
        texts = briefing(reason=reason, summary=summary if self._policy.summary else "", phone=phone)
        trying = asyncio.create_task(self._try_all(targets, texts, first))
        gone = asyncio.create_task(caller_left.wait())
        try:
            await asyncio.wait([trying, gone], timeout=self._policy.max_hold_s, return_when=asyncio.FIRST_COMPLETED)
            if self._is_joining:
                await asyncio.wait([trying])
            if trying.done():
                return HandOver(joined=trying.result(), tried=self._tried)
            self._give_up("caller_left" if gone.done() else "no_answer", "caller_left" if gone.done() else "held_too_long")
            return HandOver(joined=None, tried=self._tried)
        finally:
            for task in (trying, gone):
                task.cancel()
            await asyncio.wait([trying, gone])

    def _give_up(self, outcome: Outcome, reason: str) -> None:
        if self._trying:
            self._fail(self._trying, outcome, reason)

    async def _try_all(self, targets: Sequence[Target], texts: Sequence[str], first: int) -> Target | None:
        for number, target in enumerate(sorted(targets, key=lambda each: each.priority), start=first):
            self._trying = target
            try:
                joined = await self._try(target, texts, identity=f"target-{number}")
            except Exception as error:
                logger.exception("a target could not be tried")
                self._fail(target, "failed", type(error).__name__)
                continue
            self._trying = None
            if joined:
                self._tried.append(Tried(target, "joined"))
                return target
        return None

    async def _try(self, target: Target, texts: Sequence[str], *, identity: str) -> bool:
        if target.hours and not is_open(weekly(target.hours), [target.zone], datetime.now(UTC)):
            return self._fail(target, "closed", "closed")
        if target.mode == "blind":
            return await self._put_through(target)
        outcome, why = "failed", "given_up"
        try:
            outcome, why = await self._reach(target, texts, identity=identity)
        finally:
            if outcome != "joined":
                await self._colleagues.dismiss(identity, reason=why)
        return outcome == "joined" or self._fail(target, outcome, why)

    async def _put_through(self, target: Target) -> bool:
        if await self._colleagues.are_refused(target):
            return self._fail(target, "failed", "refused")
        self._note("transfer_dialing", target=target.name, mode="blind")
        self._is_joining = True
        try:
            await self._refer(target.phone)
        except NotPutThroughError as error:
            self._is_joining = False
            return self._fail(target, _PUT_THROUGH.get(error.reason, "failed"), error.reason)
        self._note("transfer_joined", target=target.name, mode="blind")
        return True

    async def _reach(self, target: Target, texts: Sequence[str], *, identity: str) -> tuple[Outcome, str]:
        self._note("transfer_dialing", target=target.name, identity=identity)
        speaking = asyncio.ensure_future(self._spoken(texts))
        try:
            colleague = await self._colleagues.call(target, identity=identity, hearing=self._hearing)
            self._note("transfer_answered", target=target.name)
            answer: Outcome = "joined"
            if target.kind == "person":
                answer = await self._asked(colleague, target, speaking)
        except NotReachedError as error:
            return error.outcome, error.reason
        finally:
            speaking.cancel()
        if answer != "joined":
            return answer, "hung_up" if colleague.left.is_set() else answer
        if not await self._join(colleague):
            return "declined" if colleague.left.is_set() else "caller_left", "hung_up"
        self._note("transfer_joined", target=target.name)
        return "joined", ""

    async def _join(self, colleague: Colleague) -> bool:
        """Nothing stops it half-way."""
        self._is_joining = True
        try:
            self._is_joining = await self._colleagues.join(colleague)
        except BaseException:
            self._is_joining = False
            raise
        return self._is_joining

    async def _spoken(self, texts: Sequence[str]) -> list[bytes]:
        """Made while it rings."""
        return [await self._voice(text) for text in texts]

    async def _asked(self, colleague: Colleague, target: Target, speaking: "asyncio.Future[list[bytes]]") -> Outcome:
        said = Confirmation()
        colleague.listen(on_key=said.key, on_words=said.words)
        answer = await self._unless_answered(colleague, said, self._greeted(colleague)) or _lecture(colleague)
        told, question = await speaking
        answer = answer or await self._unless_answered(colleague, said, colleague.say(told))
        for _ in range(_ASKED_TIMES):
            if answer:
                break
            said.asked()
            answer = await self._unless_answered(colleague, said, self._ask(colleague, target, question))
        if answer == "joined":
            self._note("transfer_confirmed", target=target.name)
        return answer or "declined"

    async def _ask(self, colleague: Colleague, target: Target, question: bytes) -> None:
        await colleague.say(question)
        self._note("transfer_briefed", target=target.name)
        await asyncio.sleep(self._answers_within_s)

    async def _greeted(self, colleague: Colleague) -> None:
        """Whoever answers speaks first."""
        while True:
            await asyncio.sleep(_STEP_S)
            if judge(colleague.heard(), silence_s=_SILENT_S, longest_s=_GREETING_S):
                return

    async def _unless_answered(
        self, colleague: Colleague, said: Confirmation, doing: Coroutine[Any, Any, None]
    ) -> Outcome | None:
        """None when it was done without anything coming of it."""
        task = asyncio.create_task(doing)
        try:
            while not task.done():
                if outcome := _came_to(colleague, said):
                    return outcome
                await asyncio.wait([task], timeout=_STEP_S)
            task.result()
            return _came_to(colleague, said)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _fail(self, target: Target, outcome: Outcome, reason: str) -> bool:
        self._trying = None
        self._tried.append(Tried(target, outcome))
        self._note("transfer_failed", target=target.name, outcome=outcome, reason=reason)
        return False


def _came_to(colleague: Colleague, said: Confirmation) -> Outcome | None:
    if colleague.left.is_set():
        return "declined"
    if said.answer:
        return said.answer
    return "voicemail" if machine_of(colleague.heard()) in _MAILBOXES else None


def _lecture(colleague: Colleague) -> Outcome | None:
    """A mailbox, where a greeting goes on after all that was waited for its end."""
    heard = colleague.heard()
    return "voicemail" if heard.quiet_s == 0 and len(heard.text.split()) >= _LONG_GREETING_WORDS else None
