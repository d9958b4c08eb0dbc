"""What a phone does once it has been answered."""

import asyncio
import logging
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from voice_worker.activity import VoiceActivity
from voice_worker.audio import FRAME_S, RATE, Int16Array
from voice_worker.simulation.carrier import sounds
from voice_worker.simulation.carrier.book import Actor, Menu, Presser, Recording, Screening, Talker, Tone, Voicemail
from voice_worker.simulation.carrier.legs import Ear, Leg
from voice_worker.simulation.carrier.talking import talk
from voice_worker.simulation.speech import KeptSpeech, SpeechClient, SpeechError, resampled

VOICE: Final = "joe"
_BEFORE_BEEP_S: Final = 0.6
_TURN_ENDS_S: Final = 1.0
_STEP_S: Final = 0.1
_TONE_S: Final = 0.5

logger = logging.getLogger(__name__)


class Stage:
    """What actors share: a voice, where the speech process runs, and a folder for what it has said."""

    def __init__(self, *, speech_url: str, folder: Path) -> None:
        self.folder = folder
        self._client = SpeechClient(speech_url) if speech_url else None
        self._kept = KeptSpeech(self._client, folder / "speech") if self._client else None

    @property
    def hearing(self) -> SpeechClient | None:
        return self._client

    @property
    def speaking(self) -> KeptSpeech | None:
        return self._kept

    async def voice(self, text: str) -> Int16Array:
        """The text spoken; a murmur of its length where there is no speech process."""
        if self._kept:
            try:
                return await self._kept.synthesize(text, voice=VOICE, speed=1.0)
            except SpeechError as error:
                logger.warning("the carrier murmurs: %s", error)
        return sounds.murmur(text)

    async def aclose(self) -> None:
        if self._client:
            await self._client.aclose()


class Loudness:
    """An ear that knows when somebody speaks and for how long somebody has."""

    def __init__(self) -> None:
        self._activity = VoiceActivity(hangover_s=0.4)
        self._at = 0.0
        self.speech_s = 0.0
        self.last_at: float | None = None

    def __call__(self, pcm: Int16Array) -> None:
        for span in self._activity.push(pcm, self._at):
            self.speech_s += span.end - span.start
            self.last_at = span.end
        self._at += FRAME_S

    def total_s(self) -> float:
        """With the speech that is still going on."""
        span = self._activity.current()
        return self.speech_s + (span.end - span.start if span else 0.0)

    @property
    def quiet_s(self) -> float | None:
        """Since the last speech ended; None while somebody speaks or before anybody did."""
        return None if self.last_at is None or self._activity.current() else self._at - self.last_at


async def act(actor: Actor, leg: Leg, stage: Stage) -> None:
    """Runs until the actor has no more to do; most stay on the line. Cancelled when the leg ends."""
    how: Callable[[Any, Leg, Stage], Any] | None = _ACTORS.get(type(actor))
    if how:
        await how(actor, leg, stage)


async def _play(leg: Leg, kind: str, pcm: Int16Array) -> None:
    leg.write("sound", kind=kind, seconds=round(len(pcm) / RATE, 2))
    await leg.play(pcm)


async def _tone(actor: Tone, leg: Leg, stage: Stage) -> None:
    leg.listen(lambda: sounds.TokenEar(lambda token: leg.write("tone", way="heard", token=token)).push)
    await asyncio.sleep(actor.after_s)
    leg.write("tone", way="played", token=actor.token)
    piece = sounds.token_tone(actor.token, seconds=_TONE_S)
    for _ in range(round(actor.seconds / _TONE_S)):
        await leg.play(piece)


async def _recording(actor: Recording, leg: Leg, stage: Stage) -> None:
    if actor.wav:
        try:
            pcm = resampled(*await asyncio.to_thread(sounds.read_wav, actor.wav))
        except (OSError, wave.Error, ValueError) as error:
            logger.warning("%s cannot be played: %s", actor.wav, error)
            return
    else:
        pcm = await stage.voice(actor.say)
    for _ in range(actor.times):
        await _play(leg, "speech", pcm)


async def _voicemail(actor: Voicemail, leg: Leg, stage: Stage) -> None:
    await _play(leg, "greeting", await stage.voice(actor.greeting))
    if actor.beep:
        await asyncio.sleep(_BEFORE_BEEP_S)
        await _play(leg, "beep", sounds.beep())
    loudness = Loudness()
    leg.listen(_one(loudness))
    leg.on_ending.append(lambda: leg.write("message", seconds=round(loudness.total_s(), 1)))
    await asyncio.sleep(actor.longest_s)
    await leg.end("phone", "voicemail_full")


async def _menu(actor: Menu, leg: Leg, stage: Stage) -> None:
    prompt = await stage.voice(actor.prompt)
    for _ in range(actor.times):
        speaking = asyncio.create_task(_play(leg, "prompt", prompt))
        try:
            digit = await leg.next_digit(within_s=len(prompt) / RATE + actor.waits_s)
        finally:
            speaking.cancel()
        if digit in actor.options:
            await act(actor.options[digit], leg, stage)
            return
    await leg.end("phone", "menu_without_a_choice")


async def _screening(actor: Screening, leg: Leg, stage: Stage) -> None:
    loudness = Loudness()
    await _play(leg, "prompt", await stage.voice(actor.question))
    leg.listen(_one(loudness))
    waited = 0.0
    while (quiet := loudness.quiet_s) is None or quiet < _TURN_ENDS_S:
        await asyncio.sleep(_STEP_S)
        waited += _STEP_S
        if waited > actor.waits_s and not loudness.speech_s:
            await leg.end("phone", "screened_no_answer")
            return
    leg.write("message", seconds=round(loudness.speech_s, 1))
    await asyncio.sleep(actor.decides_s)
    if not actor.accepts:
        await leg.end("phone", "screened_out")
        return
    await act(actor.then, leg, stage)


async def _presses(actor: Presser, leg: Leg, stage: Stage) -> None:
    async def press() -> None:
        await asyncio.sleep(actor.after_s)
        await leg.press(actor.digits)

    async with asyncio.TaskGroup() as both:
        both.create_task(press())
        both.create_task(act(actor.then, leg, stage))


async def _persona(actor: Talker, leg: Leg, stage: Stage) -> None:
    if stage.hearing is None or stage.speaking is None:
        logger.warning("persona %s is silent: VP_SPEECH_URL is not set. Start it with: make run", actor.persona)
        return
    await talk(actor.persona, leg, hearing=stage.hearing, speaking=stage.speaking, folder=stage.folder)


def _one(ear: Ear) -> Callable[[], Ear]:
    """The same ear for every track."""
    return lambda: ear


_ACTORS: Final[dict[type, Callable[[Any, Leg, Stage], Any]]] = {
    Tone: _tone,
    Recording: _recording,
    Voicemail: _voicemail,
    Menu: _menu,
    Screening: _screening,
    Presser: _presses,
    Talker: _persona,
}
