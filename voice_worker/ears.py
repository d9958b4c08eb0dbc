"""What a listener would have measured on the call: response gaps, interruptions, overlap and dead air.

Everything is computed from the audio as it was heard and played, never from what the pipeline says about itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from livekit.agents.voice import io

from voice_worker.activity import FrameBatch, Span, VoiceActivity
from voice_worker.audio import CallClock, Int16Array

RESUMES_WITHIN_S = 1.5
_SETTLES_S = 0.1
_BREATH_S = 0.3

Outcome = Literal["stopped", "resumed", "continued", "finished"]


@dataclass(frozen=True, slots=True)
class Interruption:
    """The caller began while the agent spoke.

    stopped: the reply was abandoned, `stop_ms` after the caller began; resumed: it paused and went on within 1.5 s;
    continued: it did not pause; finished: it came to its own end.
    """

    at: float
    outcome: Outcome
    stop_ms: int | None
    overlap_ms: int


@dataclass(frozen=True, slots=True)
class EarTurn:
    """One turn of the agent. `response_gap_ms` is None where the agent did not follow the caller."""

    started_at: float
    ended_at: float
    response_gap_ms: int | None
    overlap_ms: int
    interruptions: tuple[Interruption, ...]

    @property
    def stop_ms(self) -> int | None:
        return next((each.stop_ms for each in self.interruptions if each.outcome == "stopped"), None)

    def metrics(self) -> dict[str, int]:
        """What the transcript keeps of it."""
        found = {"response_gap": self.response_gap_ms, "stop": self.stop_ms, "overlap": self.overlap_ms or None}
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Ending:
    """The player reported the end of a reply."""

    at: float
    cut: bool


class Ears:
    """A tap. With `follow` it also learns which replies were abandoned: by sound alone a quick new reply seems a resumed one."""

    def __init__(self, clock: CallClock, *, on_turn: Callable[[EarTurn], None] | None = None) -> None:
        self._clock = clock
        self._on_turn = on_turn
        self._caller, self._agent = VoiceActivity(), VoiceActivity()
        self._caller_frames, self._agent_frames = FrameBatch(self._caller), FrameBatch(self._agent)
        self._caller_spans: list[Span] = []
        self._agent_spans: list[Span] = []
        self._endings: list[Ending] | None = None
        self._turns: list[EarTurn] = []
        self._told = 0
        self._now = 0.0

    def follow(self, output: io.AudioOutput) -> None:
        self._endings = []
        output.on("playback_finished", self._reply_ended)

    def caller_frame(self, pcm: Int16Array, at: float) -> None:
        self._now = max(self._now, at)
        self._caller_spans += self._caller_frames.add(pcm, at)
        if self._caller_frames.is_full:
            self._listen()
            # Frames of the two directions may arrive a little out of step.
            self._agent_spans += self._agent.pass_silence(at - _SETTLES_S)
            self._close_turns()

    def agent_frame(self, pcm: Int16Array, at: float) -> None:
        self._now = max(self._now, at)
        self._agent_spans += self._agent_frames.add(pcm, at)

    def _listen(self) -> None:
        self._caller_spans += self._caller_frames.flush()
        self._agent_spans += self._agent_frames.flush()

    def close(self) -> None:
        """The call is over: what is open ends here."""
        self._listen()
        self._caller_spans += self._caller.finish()
        self._agent_spans += self._agent.finish()
        self._tell(self._told_groups(self._agent_spans))

    def turns(self) -> list[EarTurn]:
        return list(self._turns)

    def turn_at(self, seconds: float) -> EarTurn | None:
        """The turn whose speech lies around this call second, even while it lasts."""
        self._listen()
        open_span = self._agent.current()
        spans = [*self._agent_spans, *([open_span] if open_span else [])]
        running = [self._turn(group, previous) for group, previous in self._told_groups(spans)]
        known = [*self._turns, *running]
        return next((turn for turn in known if turn.started_at - _BREATH_S <= seconds <= turn.ended_at + _BREATH_S), None)

    def dead_air(self, *, longer_than_s: float = 4.0) -> list[Span]:
        """Stretches in which nobody spoke."""
        self._listen()
        silent: list[Span] = []
        until = 0.0
        speech = sorted([*self._caller_spans, *self._agent_spans], key=lambda span: span.start)
        for span in [*speech, Span(self._now, self._now)]:
            if span.start - until > longer_than_s:
                silent.append(Span(until, span.start))
            until = max(until, span.end)
        return silent

    def _reply_ended(self, event: io.PlaybackFinishedEvent) -> None:
        if self._endings is not None:
            self._endings.append(Ending(at=max(self._now, self._clock.now()), cut=event.interrupted))

    def _close_turns(self) -> None:
        """Tell the turns that nothing can be added to any more."""
        if self._told == len(self._agent_spans) or self._agent.is_open:
            return
        last = self._agent_spans[-1].end
        paused = self._endings is not None and not any(ending.at >= last - _SETTLES_S for ending in self._endings)
        if self._now - last > RESUMES_WITHIN_S + _SETTLES_S and not paused:
            self._tell(self._told_groups(self._agent_spans))

    def _tell(self, groups: list[tuple[list[Span], Span | None]]) -> None:
        for group, previous in groups:
            turn = self._turn(group, previous)
            self._turns.append(turn)
            if self._on_turn:
                self._on_turn(turn)
        self._told = len(self._agent_spans)

    def _told_groups(self, spans: list[Span]) -> list[tuple[list[Span], Span | None]]:
        """The agent's speech not told yet, by turns, each with the speech before it."""
        previous = spans[self._told - 1] if self._told else None
        groups: list[tuple[list[Span], Span | None]] = []
        for span in spans[self._told :]:
            if groups and self._same_turn(groups[-1][0][-1], span):
                groups[-1][0].append(span)
            else:
                groups.append(([span], groups[-1][0][-1] if groups else previous))
        return groups

    def _same_turn(self, before: Span, after: Span) -> bool:
        if self._endings is not None:
            between = [ending for ending in self._endings if before.end - _SETTLES_S <= ending.at <= after.start]
            if not between:
                return True
            if any(ending.cut for ending in between):
                return False
        if after.start - before.end > RESUMES_WITHIN_S:
            return False
        return not any(before.end <= span.start and span.end <= after.start for span in self._heard())

    def _heard(self) -> list[Span]:
        open_span = self._caller.current()
        return [*self._caller_spans, *([open_span] if open_span else [])]

    def _turn(self, group: list[Span], previous: Span | None) -> EarTurn:
        whole = Span(group[0].start, group[-1].end)
        near = [span for span in self._heard() if span.overlap(whole) > 0]
        overlap = sum(span.overlap(spoken) for span in near for spoken in group)
        return EarTurn(
            started_at=whole.start,
            ended_at=whole.end,
            response_gap_ms=self._response_gap(whole.start, previous),
            overlap_ms=round(overlap * 1000),
            interruptions=tuple(
                self._interruption(span, group, spoken)
                for span in near
                for spoken in group
                if spoken.start < span.start < spoken.end
            ),
        )

    def _response_gap(self, start: float, previous: Span | None) -> int | None:
        before = [span for span in self._heard() if span.start < start]
        if not before or before[-1].end > start or (previous and previous.end > before[-1].end):
            return None
        return round((start - before[-1].end) * 1000)

    def _interruption(self, caller: Span, group: list[Span], spoken: Span) -> Interruption:
        later = [span for span in group if span.start >= spoken.end]
        silent_for = later[0].start - spoken.end if later else None
        stop_ms = round((spoken.end - caller.start) * 1000)
        outcome: Outcome
        if silent_for is not None and silent_for <= RESUMES_WITHIN_S:
            outcome = "resumed" if silent_for > _BREATH_S else "continued"
        elif silent_for is not None or self._was_cut(spoken, caller):
            outcome = "stopped"
        else:
            outcome = "finished"
        return Interruption(
            at=caller.start,
            outcome=outcome,
            stop_ms=stop_ms if outcome == "stopped" else None,
            overlap_ms=round(sum(caller.overlap(span) for span in group) * 1000),
        )

    def _was_cut(self, spoken: Span, caller: Span) -> bool:
        """Whether the reply was abandoned; unfollowed, one that ends soon after the caller began is taken for that."""
        if self._endings is None:
            return spoken.end - caller.start <= 2.0
        after = [ending for ending in self._endings if ending.at >= spoken.end - _SETTLES_S]
        return bool(after) and after[0].cut
