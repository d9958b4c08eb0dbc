class SpeechError(Exception):
    """Something the speech process cannot do; the text says how to mend it."""


class BrokenEngineError(SpeechError):
    """The program that speaks did not: no fault of who asked, who may ask again."""


class UnknownVoiceError(SpeechError):
    """The voice asked for is not in the catalogue."""
