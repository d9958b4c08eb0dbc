"""The voices staff may choose are those the speech process speaks with."""

from agents.catalogue import STAGES
from voiceplatform.embedded.speech.voices import VOICES


def test_the_catalogue_offers_the_voices_of_the_speech_process() -> None:
    assert set(STAGES["tts"]["local"].voices or {}) == set(VOICES)
