"""What the caller heard of a reply that was interrupted.

The framework asks its audio output how far the words went. Without a room nobody answers, and the transcript would hold
sentences that were never spoken; here the share of the sound that was played decides.
"""

from typing import Final

from livekit import rtc
from livekit.agents.voice import io

_CHARACTERS_PER_S: Final = 15.0


def heard_part(text: str, *, played_s: float, synthesised_s: float) -> str:
    """The beginning of `text` that `played_s` of its sound cover, up to a whole word."""
    # What is not synthesised yet lies behind what was; a voice's usual pace says how long it would have been.
    whole_s = max(synthesised_s, len(text) / _CHARACTERS_PER_S if synthesised_s < played_s + 1 else 0.0, 0.001)
    end = round(len(text) * min(1.0, played_s / whole_s))
    if end >= len(text):
        return text
    return text[: text.rfind(" ", 0, end + 1)].rstrip() if " " in text[: end + 1] else ""


class HeardText(io.TextOutput):
    """Collects the words of the reply being spoken."""

    def __init__(self) -> None:
        super().__init__(label="HeardText", next_in_chain=None)
        self.text = ""
        self._complete = False

    async def capture_text(self, text: str) -> None:
        if self._complete:
            self.text, self._complete = "", False
        self.text += text

    def flush(self) -> None:
        self._complete = True

    def forget(self) -> None:
        self.text, self._complete = "", False


class HeardOutput(io.AudioOutput):
    """Passes sound on, and adds the words that were heard to each report of its end."""

    def __init__(self, words: HeardText, *, next_in_chain: io.AudioOutput) -> None:
        super().__init__(
            label="HeardOutput",
            next_in_chain=next_in_chain,
            sample_rate=next_in_chain.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._words = words
        self._synthesised_s = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._synthesised_s += frame.duration
        if self.next_in_chain:
            await self.next_in_chain.capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        if self.next_in_chain:
            self.next_in_chain.flush()

    def clear_buffer(self) -> None:
        if self.next_in_chain:
            self.next_in_chain.clear_buffer()

    def on_playback_finished(
        self, *, playback_position: float, interrupted: bool, synchronized_transcript: str | None = None
    ) -> None:
        if interrupted and synchronized_transcript is None:
            synchronized_transcript = heard_part(self._words.text, played_s=playback_position, synthesised_s=self._synthesised_s)
        self._synthesised_s = 0.0
        self._words.forget()
        super().on_playback_finished(
            playback_position=playback_position, interrupted=interrupted, synchronized_transcript=synchronized_transcript
        )
