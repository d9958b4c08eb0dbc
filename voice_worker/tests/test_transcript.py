"""What is known of the caller's words while they still speak."""

from voice_worker.audio import CallClock
from voice_worker.transcript import Transcript


def make_transcript() -> Transcript:
    return Transcript(clock=CallClock(), append=lambda entry: None, said_by_caller="speech")


def test_late_words_of_one_stretch_are_not_those_of_the_next() -> None:
    transcript = make_transcript()
    transcript.caller_began()
    transcript.caller_began()
    transcript.caller_heard("This is Anna.", language="en", goes_on=True)
    assert transcript.awaits_words
    transcript.caller_heard("Leave your name.", language="en")
    assert not transcript.awaits_words


def test_words_known_before_their_stretch_is_over_are_not_waited_for() -> None:
    transcript = make_transcript()
    transcript.caller_began()
    assert transcript.awaits_words
    transcript.caller_heard("Hello?", language="en", goes_on=True)
    assert not transcript.awaits_words
