"""What the first seconds sound like, by the sound that arrives."""

import numpy as np

from voice_worker.audio import CallClock
from voice_worker.opening_ear import OpeningEar


class SetClock(CallClock):
    """Shows the second it was set to."""

    second = 0.0

    def now(self) -> float:
        return self.second


def test_quiet_is_counted_from_the_first_sound_that_arrives() -> None:
    clock = SetClock()
    ear = OpeningEar(clock)
    clock.second = 3.0
    assert ear.heard("", awaits_words=False).quiet_s == 0, "nothing could be heard yet"
    for at in np.arange(3.0, 4.0, 0.02):
        ear.caller_frame(np.zeros(480, dtype=np.int16), float(at))
    clock.second = 6.0
    heard = ear.heard("", awaits_words=False)
    assert round(heard.quiet_s, 1) == 1.0, "what did not arrive is not quiet"
    assert heard.elapsed_s == 6.0
