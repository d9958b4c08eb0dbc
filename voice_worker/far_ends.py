"""Who is at the other end of a call, by its kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from agents.personas import HOURS_AND_MESSAGE, PERSONAS, Persona
from calls.policies import NO_CONTENT
from voice_worker.audio import CallClock
from voice_worker.entrypoint import Append, EndsFactory
from voice_worker.line import CallEnds
from voice_worker.providers.base import ProviderConfigError
from voice_worker.simulation.ends import PersonaEnds
from voice_worker.simulation.speech import KeptSpeech, SpeechClient, SpeechError
from voice_worker.snapshot import CallSnapshot

SIMULATED: Final = "simulated"
Progress = Callable[[int, int], None]


class _PersonaLine(PersonaEnds):
    """Closes its connection to the speech process with the call."""

    def __init__(self, client: SpeechClient, **parts: Any) -> None:
        super().__init__(hearing=client, **parts)
        self._client = client

    async def aclose(self) -> None:
        await super().aclose()
        await self._client.aclose()


def persona_log(call_id: UUID) -> Path:
    """Where a simulated caller writes down its own account of a call."""
    return Path(settings.VP_FILES) / "persona-logs" / f"{call_id}.jsonl"


def persona_ends(progress: Progress = lambda done, total: None) -> EndsFactory:
    """`progress` is told how many of its lines the persona has rehearsed. The factory raises ProviderConfigError."""

    async def connect(snapshot: CallSnapshot, clock: CallClock, _append: Append) -> CallEnds:
        if snapshot.kind != SIMULATED:
            raise ProviderConfigError(f"There is nobody to talk to in a call of kind {snapshot.kind} without a server.")
        if not settings.VP_SPEECH_URL:
            raise ProviderConfigError("A simulated caller needs a voice: VP_SPEECH_URL is not set. Start it with: make run")
        client = SpeechClient(settings.VP_SPEECH_URL)
        ends = _PersonaLine(
            client,
            persona=_persona(snapshot.persona),
            clock=clock,
            speaking=KeptSpeech(client, Path(settings.VP_FILES) / "persona-speech"),
            # Its account of the call tells what was said.
            log_path=persona_log(snapshot.call_id) if snapshot.policy != NO_CONTENT else None,
        )
        try:
            await ends.prepare(progress)
        except SpeechError as error:
            await ends.aclose()
            raise ProviderConfigError(f"The simulated caller has no voice: {error}") from error
        return ends

    return connect


def _persona(key: str) -> Persona:
    if key and key not in PERSONAS:
        raise ProviderConfigError(f"There is no persona {key!r}. Known: {', '.join(PERSONAS)}.")
    return PERSONAS[key] if key else HOURS_AND_MESSAGE
