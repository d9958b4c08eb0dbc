"""People who may take a call over, and do as a test says."""

import asyncio
from collections.abc import Callable
from typing import Any

from livekit.agents import stt

from agents.transfers import Target
from voice_worker.answering import Heard

SILENT = Heard(quiet_s=9, elapsed_s=9)


class Phone:
    """A colleague who answers once `after` things were said to them, of `lasts_s` each: they are told, then asked."""

    def __init__(
        self,
        identity: str,
        *,
        key: str = "",
        words: str = "",
        after: int = 2,
        lasts_s: float = 0,
        heard: Heard = SILENT,
        leaves: bool = False,
    ) -> None:
        self.identity, self.left = identity, asyncio.Event()
        self._key, self._words, self._after, self._heard, self._leaves = key, words, after, heard, leaves
        self.said, self._lasts_s = 0, lasts_s

    def listen(self, *, on_key: Callable[[str], None], on_words: Callable[[str], None]) -> None:
        self._on_key, self._on_words = on_key, on_words
        self._answer()

    def heard(self) -> Heard:
        return self._heard

    async def say(self, pcm: bytes) -> None:
        self.said += 1
        asyncio.get_running_loop().call_later(0.06, self._answer)
        await asyncio.sleep(self._lasts_s)

    def _answer(self) -> None:
        if self.said != self._after:
            return
        if self._leaves:
            self.left.set()
        if self._key:
            self._on_key(self._key)
        if self._words:
            self._on_words(self._words)


class Line:
    """`Colleagues` of one caller. What is given for a phone number is who answers there, or the error of calling it."""

    caller_phone = "+12025550141"

    def __init__(self, **answers: Any) -> None:
        self.answers = {f"+1{name[1:]}": answer for name, answer in answers.items()}
        self.dismissed: list[tuple[str, str]] = []
        self.joined: list[str] = []
        self.holds: list[str] = []
        self.plays = asyncio.Event()
        self.is_open = True
        self.refused = set[str]()

    def detach(self) -> None:
        self.holds.append("detached")

    def play_hold(self) -> None:
        self.holds.append("plays")
        self.plays.set()

    async def attach(self) -> None:
        self.holds.append("attached")

    async def are_refused(self, target: Target) -> bool:
        return target.phone in self.refused

    async def call(self, target: Target, *, identity: str, hearing: stt.STT) -> Phone:
        answer = self.answers[target.phone]
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.sleep(60)
        return Phone(identity, **answer)

    async def dismiss(self, identity: str, *, reason: str) -> None:
        self.dismissed.append((identity, reason))

    async def join(self, colleague: Any) -> bool:
        self.joined.append(colleague.identity)
        return self.is_open
