"""Where a conversation's tools act."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from livekit.agents.voice import SpeechHandle

from voice_worker.floor import Floor
from voice_worker.handing import HandOver, HandsOver
from voice_worker.hiding import DOT
from voice_worker.keeping import Keeping
from voice_worker.keys import NoKeysError
from voice_worker.orders import Orders
from voice_worker.reaching import NobodyHereError, People, hand_over_entry
from voice_worker.records import Records

_KEEP_S: Final = 3.0


class Talk(HandsOver, Protocol):
    """The conversation the tools are used in."""

    def caller_said(self) -> Sequence[str]: ...

    def hang_up_after(self, speech: SpeechHandle) -> None: ...

    async def press_keys(self, digits: str) -> None: ...

    def show_keys(self, keys: str) -> str: ...

    @property
    def floor(self) -> Floor: ...

    def now(self) -> float: ...

    @property
    def keeping(self) -> Keeping | None:
        """None where nothing can be paused."""


class CallDesk:
    """What tools may do in one call. Tools are built before the call is answered, so the conversation comes later."""

    def __init__(self, *, records: Records, orders: Orders, people: People) -> None:
        self._records = records
        self._people = people
        self._orders = orders
        self._talk: Talk | None = None

    def open(self, talk: Talk) -> None:
        self._talk = talk

    def caller_said(self) -> Sequence[str]:
        return self._talk.caller_said() if self._talk else ()

    def feature(self, key: str) -> Mapping[str, Any] | None:
        return self._orders.features.get(key)

    def is_silenced(self) -> bool:
        return bool(self._talk and not self._talk.floor.is_agents)

    def append(self, entry: Mapping[str, Any]) -> None:
        if entry["op"] == "tool_call" and self._was_paused_since(entry["started_ms"]):
            entry = {**entry, "arguments": {}, "output": ""}
        self._records.append(entry)

    async def keep(self, entry: Mapping[str, Any]) -> None:
        await asyncio.wait_for(self._records.append_durably(entry), _KEEP_S)

    def hang_up_after(self, speech: SpeechHandle) -> None:
        if self._talk:
            self._talk.hang_up_after(speech)

    async def press_keys(self, digits: str) -> None:
        if self._talk is None:
            raise NoKeysError
        await self._talk.press_keys(digits)

    async def hand_over(self, *, chosen: str, reason: str, summary: str) -> HandOver:
        if self._talk is None:
            raise NobodyHereError
        done = HandOver(joined=None, tried=())
        try:
            done = await self._people.reach(self._talk, chosen=chosen, reason=reason, summary=summary)
        except asyncio.CancelledError:
            self._note_hand_over(done, reason=reason, summary=summary)
            raise
        self._note_hand_over(done, reason=reason, summary=summary)
        return done

    def _note_hand_over(self, done: HandOver, *, reason: str, summary: str) -> None:
        self._records.append(hand_over_entry(done, reason=reason, summary="" if self.is_paused else summary))

    def show_keys(self, keys: str) -> str:
        return self._talk.show_keys(keys) if self._talk else DOT * len(keys)

    def pause_recording(self) -> bool:
        keeping = self._keeping
        if keeping:
            keeping.pause()
        return keeping is not None

    def resume_recording(self) -> bool:
        keeping = self._keeping
        if keeping:
            keeping.resume()
        return keeping is not None

    @property
    def is_paused(self) -> bool:
        return bool(self._keeping and self._keeping.is_paused)

    @property
    def _keeping(self) -> Keeping | None:
        return self._talk.keeping if self._talk else None

    def _was_paused_since(self, started_ms: int) -> bool:
        return bool(self._keeping and self._keeping.hides(started_ms / 1000, self.now_ms() / 1000))

    def now_iso(self) -> str:
        return datetime.now(UTC).isoformat()

    def now_ms(self) -> int:
        return round(self._talk.now() * 1000) if self._talk else 0
