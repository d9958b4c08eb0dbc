"""What the first seconds of a call sound like, for telling who answered it."""

from voice_worker.activity import VoiceActivity
from voice_worker.answering import Heard
from voice_worker.audio import CallClock, Int16Array
from voice_worker.tones import BeepDetector, MusicDetector

_PAUSE_S = 0.3


class OpeningEar:
    """A tap that follows the other side until it is closed."""

    def __init__(self, clock: CallClock) -> None:
        self._clock = clock
        self._closed = False
        self.start_again()

    def start_again(self) -> None:
        """Forget what was heard; times count from now."""
        self._activity = VoiceActivity(hangover_s=_PAUSE_S)
        self._beeps, self._music = BeepDetector(), MusicDetector()
        self._since = self._clock.now()
        self._last: float | None = None
        self._until = self._since
        self._speech_s = self._longest_s = self._latest_s = 0.0
        self._beep = False

    def close(self) -> None:
        self._closed = True

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        if self._closed:
            return
        self._until = max(self._until, at)
        if self._last is None:
            self._last = at
        for span in self._activity.push(pcm, at):
            self._latest_s = span.end - span.start
            self._speech_s += self._latest_s
            self._longest_s = max(self._longest_s, self._latest_s)
            self._last = max(self._last, span.end)
        self._music.push(pcm)
        self._beep |= self._beeps.push(pcm)

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        """Only the other side is of interest."""

    def heard(self, text: str, *, awaits_words: bool) -> Heard:
        """With the words known so far."""
        current = self._activity.current()
        last = max(current.end if current else 0.0, self._until if self._last is None else self._last)
        length = current.end - current.start if current else 0.0
        return Heard(
            text=text,
            speech_s=self._speech_s + length,
            longest_s=max(self._longest_s, length),
            latest_s=length or self._latest_s,
            quiet_s=max(0.0, self._until - last),
            beep=self._beep,
            music=self._music.is_on,
            elapsed_s=self._clock.now() - self._since,
            awaits_words=awaits_words,
        )
