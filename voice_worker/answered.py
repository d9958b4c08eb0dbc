"""An answered call: its line, recorder, ears and meters, around the conversation."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from calls.telephony.egress import FEATURE, is_available
from voice_worker.apology import Apology
from voice_worker.audio import CallClock
from voice_worker.called import CalledConversation
from voice_worker.closing import quietly
from voice_worker.conversation import Script
from voice_worker.ears import Ears, EarTurn
from voice_worker.egress import EgressRecorder
from voice_worker.keeping import AFTER_CONSENT, Keeping
from voice_worker.line import CallEnds
from voice_worker.opening_ear import OpeningEar
from voice_worker.orders import Orders
from voice_worker.pipeline import Stages, open_session
from voice_worker.recording import Recorder, RecordingResult
from voice_worker.records import Records
from voice_worker.snapshot import OUTBOUND, CallSnapshot
from voice_worker.spoken import SpokenConversation
from voice_worker.usage import UsageTotals

RECORDING: Final = "recording.ogg"
APOLOGY_AFTER_S: Final = 3.0
HANG_UP_S: Final = 5.0


class AnswerClock(CallClock):
    """Made while the far end is prepared; the call's time begins when it is answered."""

    def answer(self) -> datetime:
        """Returns the moment that is second 0."""
        self._started = time.monotonic()
        return datetime.now(UTC)


class AnsweredCall:
    def __init__(
        self, snapshot: CallSnapshot, *, stages: Stages, line: CallEnds, clock: AnswerClock, records: Records, folder: Path
    ) -> None:
        self._snapshot = snapshot
        self._stages = stages
        self._line = line
        self._clock = clock
        self._records = records
        self._answered_at = clock.answer()
        self._ears = Ears(clock, on_turn=self._hear)
        recording = snapshot.settings.recording
        waits = recording.mode == AFTER_CONSENT
        elsewhere = snapshot.room and FEATURE in snapshot.features and is_available()
        by_us, by_egress = snapshot.is_recorded and not elsewhere, snapshot.is_recorded and elsewhere
        self._recorder = Recorder(folder / RECORDING, clock, starts=not waits) if by_us else None
        self._egress = EgressRecorder(snapshot.call_id, starts=not waits) if by_egress else None
        recorder = self._recorder or self._egress
        self._keeping = Keeping(clock=clock, append=records.append, settings=recording, recorder=recorder)
        self._line.add_tap(self._ears)
        if self._recorder:
            self._line.add_tap(self._recorder)
            if line.supervisors:
                line.supervisors.add_tap(self._recorder)
        self._ears.follow(line.audio_output)
        self._usage = UsageTotals(snapshot.settings, append=records.append)
        self._usage.listen(stt_model=stages.stt, llm_model=stages.llm, tts_model=stages.tts)
        self._conversation: SpokenConversation | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def converse(self, *, script: Script, orders: Orders) -> SpokenConversation:
        apology = self._apology()
        parts: dict[str, Any] = {
            "session": open_session(self._stages, turn_taking=self._snapshot.settings.turn_taking),
            "script": script,
            "ends": self._line,
            "clock": self._clock,
            "answered_at": self._answered_at,
            "records": self._records,
            "orders": orders,
            "apology": apology,
            "keeping": self._keeping,
        }
        if self._snapshot.kind == OUTBOUND:
            ear = OpeningEar(self._clock)
            self._line.add_tap(ear)
            self._conversation = CalledConversation(ear=ear, **parts)
        else:
            self._conversation = SpokenConversation(**parts)
        self._tasks = [asyncio.create_task(self._prepare(apology)), asyncio.create_task(self._usage.keep_flushing())]
        return self._conversation

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await quietly(self._line.hang_up, longest_s=HANG_UP_S)
        self._ears.close()
        recorded = await self._recorder.aclose() if self._recorder else None
        if self._egress:
            await self._egress.aclose()
        if self._conversation:
            await self._conversation.close()
        self._usage.flush()
        if recorded and self._recorder and self._recorder.has_begun:
            self._announce(recorded)

    def _apology(self) -> Apology:
        voice = self._snapshot.settings.speaking
        return Apology(
            self._snapshot.settings.apology,
            voice=self._stages.tts,
            name=f"{voice.provider}/{voice.model}/{voice.voice}/{voice.speed}",
            folder=Path(settings.VP_FILES) / "apologies",
        )

    def _hear(self, turn: EarTurn) -> None:
        if self._conversation:
            self._conversation.transcript.ears_told(turn)

    async def _prepare(self, apology: Apology) -> None:
        # The greeting needs the voice first.
        await asyncio.sleep(APOLOGY_AFTER_S)
        await apology.prepare()

    def _announce(self, recorded: RecordingResult) -> None:
        if not recorded.size:
            self._records.append({"op": "recording", "state": "lost", "detail": recorded.error or "Nothing was recorded."})
            return
        entry = {"op": "recording", "state": "spooled", "path": str(recorded.path), "size": recorded.size}
        entry |= {"sha256": recorded.sha256, "duration_ms": round(recorded.duration_s * 1000)}
        self._records.append({**entry, "cut_short": bool(recorded.error), "detail": recorded.error})
        if recorded.error:
            data = {"error": recorded.error, "lost_s": recorded.lost_s}
            self._records.append({"op": "event", "kind": "recording_stopped", "at": _now(), "data": data})


def _now() -> str:
    return datetime.now(UTC).isoformat()
