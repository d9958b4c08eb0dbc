"""A phone's keys, both ways: what is pressed there, and what we press."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from livekit import rtc

from agents.pipeline import Digits
from voice_worker.hiding import DOT

CODES: Final[Mapping[str, int]] = {digit: code for code, digit in enumerate("0123456789*#")}
WAIT: Final = "w"
SPACING_S: Final = 0.15
WAIT_S: Final = 0.5
PAUSE_S: Final = 1.5
MOST: Final = 32
"""As many keys make one entry, whether more come or not."""
_OPENS_S: Final = 0.5


class NoKeysError(Exception):
    """The other side has no phone whose line takes key tones."""


class Keys(Protocol):
    def listen(self, on_key: Callable[[str], None]) -> None:
        """Told each key pressed at the other side, also those before this."""

    async def press(self, digits: str) -> None:
        """Press keys of CODES one after the other; WAIT makes a pause."""


class RoomKeys:
    """The keys of a phone in a room. Made when it has answered."""

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room = room
        self._identity = identity
        self._on_key: Callable[[str], None] | None = None
        self._early: list[str] = []
        self._pressing = asyncio.Lock()
        # What is sent while the data channel opens is lost.
        self._opens_at = asyncio.get_running_loop().time() + _OPENS_S
        room.on("sip_dtmf_received", self._on_dtmf)

    def listen(self, on_key: Callable[[str], None]) -> None:
        self._on_key = on_key
        for key in self._early:
            on_key(key)
        self._early.clear()

    async def press(self, digits: str) -> None:
        async with self._pressing:
            await asyncio.sleep(max(0.0, self._opens_at - asyncio.get_running_loop().time()))
            for digit in digits:
                if digit == WAIT:
                    await asyncio.sleep(WAIT_S)
                    continue
                await self._room.local_participant.publish_dtmf(code=CODES[digit], digit=digit)
                await asyncio.sleep(SPACING_S)

    def _on_dtmf(self, packet: rtc.SipDTMF) -> None:
        if packet.participant is None or packet.participant.identity != self._identity or packet.digit not in CODES:
            return
        if self._on_key:
            self._on_key(packet.digit)
        else:
            self._early.append(packet.digit)


class Entry:
    """Keys pressed in a row: complete with '#', after a pause, or when there are MOST."""

    def __init__(self, on_complete: Callable[[str], None], *, pause_s: float = PAUSE_S) -> None:
        self._on_complete = on_complete
        self._pause_s = pause_s
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, key: str) -> None:
        self._keys += key
        if self._timer:
            self._timer.cancel()
        if key == "#" or len(self._keys) >= MOST:
            self._complete()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._pause_s, self._complete)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _complete(self) -> None:
        keys, self._keys, self._timer = self._keys, "", None
        self._on_complete(keys)


def as_message(keys: str) -> str:
    """How the model is told of keys."""
    return f"[pressed: {keys}]"


def shown(keys: str, digits: Digits) -> str:
    """The keys as they are shown where they were pressed."""
    count = sum(key.isdigit() for key in keys)
    if not digits.hide_digits or count < digits.hide_from:
        return keys
    return "".join(DOT if key.isdigit() else key for key in keys)
