"""The voices of the speech process: one set of weights, told apart by pitch and pace."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Voice:
    """`pitch` raises the voice by playing it faster; `pace` slows the words beforehand by as much as wanted."""

    name: str
    pitch: float = 1.0
    pace: float = 1.0
    espeak: str = "en-us"
    espeak_pitch: int = 45


VOICES: dict[str, Voice] = {
    voice.name: voice
    for voice in (
        Voice(name="joe"),
        Voice(name="robin", pitch=1.18, pace=1.15, espeak="en-us+f3", espeak_pitch=60),
    )
}
DEFAULT_VOICE = "joe"
