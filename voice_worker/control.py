"""Carrying out what is ordered from outside, and writing down what became of each order."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import structlog
from livekit.agents.voice import SpeechHandle

from agents.tools import OTHER_REASON
from agents.transfers import Target
from calls.models import CallCommand
from calls.services.actions import AFTER_SPEECH, WARM
from voice_worker import outcome
from voice_worker.floor import MUTED, Floor
from voice_worker.handing import HandsOver
from voice_worker.keys import NoKeysError
from voice_worker.line import NotPutThroughError
from voice_worker.orders import Order
from voice_worker.outcome import Outcome
from voice_worker.reaching import hand_over_entry

logger = structlog.get_logger(__name__)

Kind = CallCommand.Kind
SPEECH_S: Final = 60.0


class OrderFailedError(Exception):
    """The order could not be carried out; `reason` is a word for why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Steered(HandsOver, Protocol):
    """The conversation that is steered."""

    @property
    def floor(self) -> Floor: ...

    async def say_now(self, text: str, *, interruptible: bool) -> SpeechHandle | None: ...

    def say_next(self, text: str, *, interruptible: bool) -> SpeechHandle | None: ...

    async def instruct(self, text: str) -> None: ...

    async def silence(self, who: str) -> None: ...

    async def press_keys(self, digits: str) -> None: ...

    async def put_through(self, phone: str) -> None: ...

    def end(self, result: Outcome) -> None: ...


class Control:
    def __init__(self, talk: Steered, *, append: Callable[[Mapping[str, Any]], None]) -> None:
        self._talk = talk
        self._append = append
        self._acts: Mapping[str, Callable[[Order], Awaitable[Mapping[str, Any]]]] = {
            Kind.SAY: self._say,
            Kind.INSTRUCT: self._instruct,
            Kind.MUTE_AGENT: self._mute,
            Kind.UNMUTE_AGENT: self._unmute,
            Kind.SEND_DTMF: self._press,
            Kind.TRANSFER: self._transfer,
        }

    async def carry_out(self, order: Order) -> None:
        """Never raises but for its own cancellation, which is the end of the call."""
        if order.is_hang_up:
            await self._hang_up(order)
            return
        try:
            told = await self._acts[order.kind](order)
        except OrderFailedError as failed:
            self._append(order.ended(failed=failed.reason))
        except asyncio.CancelledError:
            self._append(order.ended(failed="call_ended"))
            raise
        except Exception:
            logger.exception("an order was not carried out", kind=order.kind)
            self._append(order.ended(failed="internal_error"))
        else:
            self._append(order.ended(**told))

    async def _hang_up(self, order: Order) -> None:
        try:
            if order.text:
                await self._spoken(await self._talk.say_now(order.text, interruptible=False))
        except Exception:
            logger.exception("the last words were not spoken")
        finally:
            self._append(order.ended())
            self._talk.end(outcome.canceled(order.reason))

    async def _say(self, order: Order) -> Mapping[str, Any]:
        if not self._talk.floor.is_agents:
            raise OrderFailedError("agent_muted")
        interruptible = bool(order.option("interruptible"))
        if order.option("when") == AFTER_SPEECH:
            speech = self._talk.say_next(order.text, interruptible=interruptible)
        else:
            speech = await self._talk.say_now(order.text, interruptible=interruptible)
        if speech is None:
            raise OrderFailedError("call_ended")
        await self._spoken(speech)
        return {"interrupted": speech.interrupted}

    async def _instruct(self, order: Order) -> Mapping[str, Any]:
        await self._talk.instruct(order.text)
        return {}

    async def _mute(self, _order: Order) -> Mapping[str, Any]:
        await self._talk.silence(MUTED)
        return {}

    async def _unmute(self, _order: Order) -> Mapping[str, Any]:
        self._talk.floor.give_back(MUTED)
        if not self._talk.floor.is_agents:
            raise OrderFailedError("taken_over")
        return {}

    async def _press(self, order: Order) -> Mapping[str, Any]:
        try:
            await self._talk.press_keys(order.option("digits"))
        except NoKeysError:
            raise OrderFailedError("no_keys") from None
        return {}

    async def _transfer(self, order: Order) -> Mapping[str, Any]:
        if order.text and self._talk.floor.is_agents:
            await self._spoken(await self._talk.say_now(order.text, interruptible=False))
        if order.option("mode") == WARM:
            target = Target.model_validate(order.option("target"))
            return await self._hand_over(target, summary=order.option("summary") or "")
        try:
            await self._talk.put_through(order.option("to"))
        except NotPutThroughError as error:
            raise OrderFailedError(error.reason) from None
        return {}

    async def _hand_over(self, target: Target, *, summary: str) -> Mapping[str, Any]:
        done = await self._talk.hand_over(targets=[target], reason=OTHER_REASON, summary=summary)
        self._append(hand_over_entry(done, reason=OTHER_REASON, summary=summary))
        if done.joined is None:
            raise OrderFailedError(done.tried[-1].outcome if done.tried else "failed")
        return {}

    async def _spoken(self, speech: SpeechHandle | None) -> None:
        if speech is not None:
            await settled(speech)


async def settled(speech: SpeechHandle) -> None:
    """Returns when the speech is over, however long it takes within reason."""
    try:
        async with asyncio.timeout(SPEECH_S):
            await speech
    except TimeoutError:
        logger.warning("a speech does not end")
