class SpeechError(Exception):
    """Something the speech process cannot do; the text says how to mend it."""


class UnknownVoiceError(SpeechError):
    """The voice asked for is not in the catalogue."""
