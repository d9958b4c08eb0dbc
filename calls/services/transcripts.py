"""The transcript of a call as a file: text, JSON, and subtitles that fit the recording."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from calls.models import Call, Turn

_LONGEST_LINE: Final = 84
_SHORTEST_MS: Final = 300
_PER_CHARACTER_MS: Final = 65
_WHO: Final[Mapping[str, str]] = {"agent": "Agent", "caller": "Caller", "person": "Person"}
_CUT: Final = "—"


@dataclass(frozen=True, slots=True)
class Format:
    content_type: str
    extension: str
    write: Callable[[Call, Sequence[Turn]], str]


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from `begin` to `end`, in milliseconds of the call, which are the recording's."""

    speaker: str
    text: str
    begin: int
    end: int


def write_transcript(call: Call, *, format: str) -> str:
    """The whole transcript in one of FORMATS. Interrupted turns hold what was heard of them."""
    return FORMATS[format].write(call, list(Turn.objects.filter(call=call).order_by("sequence")))


def _as_text(call: Call, turns: Sequence[Turn]) -> str:
    lines = [f"[{_clock(turn.started_ms, ',')[:8]}] {_WHO[turn.speaker]}: {_shown(turn)}" for turn in turns]
    return "".join(f"{line}\n" for line in lines)


def _as_json(call: Call, turns: Sequence[Turn]) -> str:
    told = {
        "object": "transcript",
        "call_id": call.public_id,
        "languages": sorted({turn.language for turn in turns if turn.language}),
        "turns": [_turn(turn) for turn in turns],
    }
    return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


def _as_srt(call: Call, turns: Sequence[Turn]) -> str:
    """Numbered cues; `-->` may stand in none of them."""
    blocks = [
        f"{number}\n{_clock(cue.begin, ',')} --> {_clock(cue.end, ',')}\n{_WHO[cue.speaker]}: {cue.text.replace('-->', '→')}\n"
        for number, cue in enumerate(_cues(turns), start=1)
    ]
    return "\n".join(blocks)


def _as_vtt(call: Call, turns: Sequence[Turn]) -> str:
    blocks = [
        f"{_clock(cue.begin, '.')} --> {_clock(cue.end, '.')}\n<v {_WHO[cue.speaker]}>{_escaped(cue.text)}\n"
        for cue in _cues(turns)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


FORMATS: Final[Mapping[str, Format]] = {
    "text": Format("text/plain", "txt", _as_text),
    "json": Format("application/json", "json", _as_json),
    "srt": Format("application/x-subrip", "srt", _as_srt),
    "vtt": Format("text/vtt", "vtt", _as_vtt),
}


def _turn(turn: Turn) -> dict[str, Any]:
    names = ("sequence", "speaker", "source", "text", "language", "started_ms", "ended_ms", "interrupted", "redacted")
    words = [{"text": text, "started_ms": began, "ended_ms": ended} for text, began, ended in turn.words]
    return {name: getattr(turn, name) for name in names} | {"words": words}


def _shown(turn: Turn) -> str:
    text = re.sub(r"\s+", " ", turn.text).strip()
    return f"{text}{_CUT}" if turn.interrupted else text


def _cues(turns: Iterable[Turn]) -> Iterator[Cue]:
    """In the order of their times; a turn without a time follows the one before it."""
    at = 0
    found: list[Cue] = []
    for turn in turns:
        if text := _shown(turn):
            begin = at if turn.started_ms is None else max(0, turn.started_ms)
            end = max(begin + _SHORTEST_MS, turn.ended_ms or begin + len(text) * _PER_CHARACTER_MS)
            found += _split(turn, text, begin, end)
            at = end
    return iter(sorted(found, key=lambda cue: cue.begin))


def _split(turn: Turn, text: str, begin: int, end: int) -> list[Cue]:
    """Lines short enough to read, at the times of their words where those are known, else by their share of the text."""
    lines = _lines(text)
    times = _line_times(lines, turn.words) or [
        begin + (end - begin) * sum(map(len, lines[:index])) // sum(map(len, lines)) for index in range(len(lines))
    ]
    ends = [*times[1:], end]
    return [Cue(turn.speaker, line, at, max(at + 1, until)) for line, at, until in zip(lines, times, ends, strict=True)]


def _lines(text: str) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= _LONGEST_LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _line_times(lines: Sequence[str], words: Sequence[Sequence[Any]]) -> list[int]:
    """When the first word of each line was said; nothing where words and text do not match."""
    counts = [len(line.split(" ")) for line in lines]
    if sum(counts) != len(words):
        return []
    return [max(0, int(words[sum(counts[:index])][1])) for index in range(len(lines))]


def _clock(ms: int | None, point: str) -> str:
    seconds, rest = divmod(max(0, ms or 0), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{rest:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
