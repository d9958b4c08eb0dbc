"""From the session's events to the turns of the transcript: numbered when they begin, written as soon as they are known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from livekit.agents import llm
from livekit.agents.voice import SpeechHandle

from voice_worker.audio import CallClock
from voice_worker.ears import EarTurn
from voice_worker.keeping import MARK
from voice_worker.listening import HeardWord
from voice_worker.overhearing import Words

Source = Literal["speech", "text", "greeting", "reply", "apology", "warning", "ordered"]
_CALLER_METRICS: Final = {"transcription_delay": "transcription_delay", "end_of_turn_delay": "end_of_turn_delay"}
_AGENT_METRICS: Final = {"llm_node_ttft": "llm_ttft", "tts_node_ttfb": "tts_ttfb", "e2e_latency": "e2e_latency"}
_NEAR_S: Final = 0.4
_WAITS_S: Final = 12.0


@dataclass(slots=True)
class _CallerTurn:
    sequence: int
    started_at: float
    ended_at: float
    language: str = ""
    parts: list[str] = field(default_factory=list)
    words: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _AgentTurn:
    sequence: int
    started_at: float
    ended_at: float


class Transcript:
    """Writes turns through `append`. All methods run on the event loop."""

    def __init__(
        self,
        *,
        clock: CallClock,
        append: Callable[[Mapping[str, Any]], None],
        said_by_caller: Source = "speech",
        hides: Callable[[float, float], bool] = lambda started_at, ended_at: False,
    ) -> None:
        """`hides` tells of a stretch of the call whether its words must not be kept."""
        self._clock = clock
        self._hides = hides
        self._append = append
        self._said_by_caller = said_by_caller
        self._next = 1
        self._open: _CallerTurn | None = None
        self._speech_began: float | None = None
        self._recogniser_began: float | None = None
        self._unheard = 0
        self._agent_began: tuple[int, float] | None = None
        self._agent_turns: list[_AgentTurn] = []
        self._unmatched: list[EarTurn] = []
        self._shown: dict[str, str] = {}
        self._sources: dict[str, Source] = {}
        self._handles: list[SpeechHandle] = []
        self.caller_said: list[str] = []
        self.caller_turn = 0
        """The number of what the caller said last."""

    @property
    def caller_is_open(self) -> bool:
        """Whether something was heard a moment ago that the agent has not been asked to answer yet."""
        return self._open is not None and self._clock.now() - self._open.ended_at < _WAITS_S

    @property
    def awaits_words(self) -> bool:
        """Whether the caller has spoken and it is not known yet what."""
        return self._unheard > 0

    def expect(self, handle: SpeechHandle, *, source: Source) -> None:
        """What this speech says is no reply."""
        self._sources[handle.id] = source
        self._handles.append(handle)

    def caller_began(self) -> None:
        self._unheard = min(self._unheard + 1, 2)
        self._speech_began, self._recogniser_began = self._clock.now(), None

    def caller_heard(self, text: str, *, language: str, words: Sequence[HeardWord] = (), goes_on: bool = False) -> None:
        """A stretch of the caller's speech is transcribed; more of the same turn may follow, and does if the caller `goes_on`.

        The recogniser's clock is its own: its first word is taken to begin when the voice was heard.
        """
        # A slow recogniser's words belong to the stretch before the one that goes on.
        now, self._unheard = self._clock.now(), int(goes_on and self._unheard > 1)
        if self._open is None:
            self._open = _CallerTurn(sequence=self._take_number(), started_at=self._speech_began or now, ended_at=now)
            self.caller_said.append("")
        self._open.parts.append(text)
        self._open.words += self._placed(words)
        self._open.ended_at, self._open.language = now, language or self._open.language
        self.caller_said[-1] = " ".join(self._open.parts)
        self._write_caller(self._open, text=self.caller_said[-1], metrics={})

    def keys_pressed(self, message: str, *, shown: str) -> None:
        """The next message of the caller's with this text is written down as `shown`."""
        # Words before the keys are a turn of their own.
        self._open = None
        self._shown[message] = shown

    def note_keys(self, message: str) -> None:
        """Write pressed keys down that nobody answers."""
        now = self._clock.now()
        self.caller_said.append(message)
        turn = _CallerTurn(sequence=self._take_number(), started_at=now, ended_at=now)
        self._write_caller(turn, text=message, metrics={})

    def person_said(self, said: Words) -> None:
        """Somebody of the staff spoke in the agent's place."""
        self._write("person", self._take_number(), said, text=said.text, language=said.language, source="speech")

    def item_added(self, item: llm.ChatMessage) -> None:
        if item.role == "user":
            self._caller_done(item)
        elif item.role == "assistant":
            self._agent_done(item)

    def agent_began(self) -> None:
        # What the agent talks over without answering it is a turn of its own.
        self._open = None
        if self._agent_began is None:
            self._agent_began = (self._take_number(), self._clock.now())

    def ears_told(self, turn: EarTurn) -> None:
        if turn.metrics() and not self._match(turn):
            self._unmatched.append(turn)

    def _caller_done(self, item: llm.ChatMessage) -> None:
        text = item.text_content or ""
        turn, self._open = self._open, None
        if turn is None:
            now = self._clock.now()
            turn = _CallerTurn(sequence=self._take_number(), started_at=now, ended_at=now)
            self.caller_said.append(text)
        metrics = item.metrics or {}
        turn.started_at = self._second(metrics.get("started_speaking_at"), turn.started_at)
        turn.ended_at = self._second(metrics.get("stopped_speaking_at"), turn.ended_at)
        self.caller_said[-1] = text
        self._write_caller(turn, text=text, metrics=_milliseconds(metrics, _CALLER_METRICS))

    def _agent_done(self, item: llm.ChatMessage) -> None:
        now = self._clock.now()
        number, began = self._agent_began or (self._take_number(), now)
        self._agent_began = None
        metrics = item.metrics or {}
        turn = _AgentTurn(
            sequence=number,
            started_at=self._second(metrics.get("started_speaking_at"), began),
            ended_at=self._second(metrics.get("stopped_speaking_at"), now),
        )
        self._agent_turns.append(turn)
        self._write(
            "agent",
            turn.sequence,
            turn,
            text=item.text_content or "",
            interrupted=bool(item.interrupted),
            metrics=_milliseconds(metrics, _AGENT_METRICS),
            source=self._source_of(item),
        )
        self._unmatched = [known for known in self._unmatched if not self._match(known)]

    def _source_of(self, item: llm.ChatMessage) -> Source:
        for handle in reversed(self._handles):
            if any(said.id == item.id for said in handle.chat_items):
                return self._sources[handle.id]
        return "reply"

    def _match(self, ear: EarTurn) -> bool:
        """The gap belongs to the first turn within what the ears took for one, the interruption to the last."""
        within = [
            turn
            for turn in self._agent_turns
            if turn.started_at <= ear.ended_at + _NEAR_S and turn.ended_at >= ear.started_at - _NEAR_S
        ]
        if not within:
            return False
        metrics = ear.metrics()
        gap = {key: value for key, value in metrics.items() if key == "response_gap"}
        rest = {key: value for key, value in metrics.items() if key != "response_gap"}
        for turn, found in ((within[0], gap), (within[-1], rest)):
            if found:
                self._append({"op": "turn_metrics", "sequence": turn.sequence, "metrics": found})
        return True

    def _write_caller(self, turn: _CallerTurn, *, text: str, metrics: Mapping[str, int]) -> None:
        self.caller_turn = turn.sequence
        given: dict[str, Any] = {"language": turn.language, "metrics": metrics, "source": self._said_by_caller}
        self._write("caller", turn.sequence, turn, text=text, **given)

    def _write(
        self,
        speaker: Literal["caller", "agent", "person"],
        sequence: int,
        turn: _CallerTurn | _AgentTurn | Words,
        *,
        text: str,
        source: Source,
        interrupted: bool = False,
        language: str = "",
        metrics: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._append(
            {
                "op": "turn",
                "sequence": sequence,
                "speaker": speaker,
                **self._words(text, turn),
                "started_ms": _ms(turn.started_at),
                "ended_ms": _ms(turn.ended_at),
                "interrupted": interrupted,
                "language": language,
                "metrics": dict(metrics),
                "source": source,
            }
        )

    def _placed(self, words: Sequence[HeardWord]) -> list[tuple[str, int, int]]:
        if not words or self._speech_began is None:
            return []
        if self._recogniser_began is None:
            self._recogniser_began = words[0].started_s
        shift = self._speech_began - self._recogniser_began
        return [(word.text, _ms(word.started_s + shift), _ms(word.ended_s + shift)) for word in words]

    def _words(self, text: str, turn: _CallerTurn | _AgentTurn | Words) -> dict[str, Any]:
        """What is written down of a turn."""
        shown = MARK if self._hides(turn.started_at, turn.ended_at) else self._shown.get(text, text)
        said = {"text": shown, "redacted": shown != text}
        words = turn.words if isinstance(turn, _CallerTurn) and shown == text else []
        return {**said, "words": words} if words else said

    def _take_number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _second(self, wall: float | None, otherwise: float) -> float:
        return self._clock.from_wall(wall) if wall else otherwise


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _milliseconds(metrics: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, int]:
    return {ours: _ms(metrics[theirs]) for theirs, ours in names.items() if isinstance(metrics.get(theirs), int | float)}
