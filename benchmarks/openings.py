"""Who answered, told by whole calls: every opening spoken in real time over a telephone line, heard as in any call."""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from benchmarks.blocks import watched_loop
from benchmarks.calls import hold_call, make_job, prepare_database
from benchmarks.ends import ScriptedEnds
from benchmarks.interruptions import stages
from benchmarks.opening_sounds import LEFT_OUT, Opening, spoken_openings
from benchmarks.report import Report, percentile
from calls.models import Call
from calls.resolving import scope_of_call
from voice_worker.entrypoint import Job
from voice_worker.simulation.speech import SpeechClient
from voice_worker.tests.openings import GONE, HUMAN, IVR, SCREEN, VM

TAKEN_FOR_MACHINE, RELEASED_S = 0.02, 2.5
KINDS = (HUMAN, VM, IVR, GONE, SCREEN, "uncertain", "none")
MACHINES = (VM, IVR, GONE, SCREEN)
SETTINGS = {
    "hearing": {"provider": "local", "model": "whisper-base"},
    "speaking": {"provider": "local", "model": "piper", "voice": "joe"},
    "opening": {"greeting": "Hello, this is Ava from Smith Dental. Do you have a moment?"},
    "machines": {"on_voicemail": "leave_message", "voicemail_message": "This is a message.", "on_screening": "hang_up"},
}
_TIMEOUT_S = 60.0
_PROVES_S = 8.0
_LATE_S = 0.06
"""What is later than this moves the line's schedule: the words would not come as they were spoken."""


@dataclass(slots=True)
class Answer:
    """What became of an opening. Times are call seconds."""

    half: str
    is_: str
    text: str
    how: str
    verdicts: list[tuple[str, float]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    stretches: list[tuple[float, float]] = field(default_factory=list)
    spoke_at: float | None = None

    @property
    def taken_for(self) -> str:
        return self.verdicts[-1][0] if self.verdicts else "none"

    @property
    def released_at(self) -> float | None:
        return next((at for who, at in self.verdicts if who in (HUMAN, "uncertain")), None)

    @property
    def hello_ended(self) -> float | None:
        """The end of what was said before the agent was released; None when it was released into the words."""
        at = self.released_at
        if at is None or any(start < at < end for start, end in self.stretches):
            return None
        return max((end for _, end in self.stretches if end <= at), default=None)

    @property
    def spoke_into_it(self) -> bool:
        return self.spoke_at is not None and bool(self.stretches) and self.spoke_at < self.stretches[-1][1]


def place(number: int) -> Job:
    """A call to somebody, of a tenant of its own."""
    job = make_job(settings=SETTINGS)
    with scope_of_call(job.call_id):
        phone = {"phone": f"+1202555{number % 100 + 100:04}", "room": f"out-{job.call_id.hex}"}
        Call.objects.filter(pk=job.call_id).update(kind=Call.Kind.OUTBOUND, transport=Call.Transport.LIVEKIT, **phone)
    return job


async def answer_call(opening: Opening, *, number: int) -> Answer:
    """Answers a call with this opening and waits until it is known what the agent makes of it."""
    answer = Answer(half=opening.half, is_=opening.is_, text=opening.text, how=opening.how)
    noted: list[tuple[str, datetime]] = []

    def observe(entry: Mapping[str, Any]) -> None:
        if entry["op"] == "answered_by":
            noted.append((entry["who"], datetime.fromisoformat(entry["at"])))
        elif entry["op"] == "turn" and entry["speaker"] == "caller":
            answer.heard.append(entry["text"])

    async def script(ends: ScriptedEnds) -> None:
        begins, utterance = ends.clock.now(), ends.line.say(opening.pcm)
        over = begins + opening.seconds

        def is_over() -> bool:
            if ends.hung_up.is_set():
                return True
            settled = over if noted and noted[-1][0] == HUMAN == opening.is_ else over + _PROVES_S
            return bool(noted) and bool(ends.audible) and ends.clock.now() >= (over if noted[-1][0] == VM else settled)

        await ends.until(is_over, timeout_s=_TIMEOUT_S)
        first = opening.stretches[0][0] if opening.stretches else 0.0
        offset = (utterance.started_at - first) if utterance.started_at is not None else begins
        answer.stretches = [(start + offset, end + offset) for start, end in opening.stretches]
        answer.spoke_at = ends.audible[0] if ends.audible else None
        answer.verdicts = [(who, ends.clock.from_wall(at.timestamp())) for who, at in noted]

    job = await asyncio.to_thread(place, number)
    await hold_call(job, stages=stages(reply="Thank you."), script=script, observe=observe)
    return answer


async def measure(*, takes: int, parallel: int, only: str) -> tuple[list[Answer], int]:
    """Every answer, and how often the machine was too slow for the lines' schedule."""
    client = SpeechClient(settings.VP_SPEECH_URL)
    try:
        folder = Path(settings.VP_HOME) / "benchmarks" / "spoken"
        openings = [each for each in await spoken_openings(client, folder=folder, takes=takes) if only in (each.half, "")]
    finally:
        await client.aclose()
    print(f"  {len(openings)} openings, {sum(each.seconds for each in openings):.0f} s of sound", flush=True)
    free = asyncio.Semaphore(parallel)

    async def one(number: int, opening: Opening) -> Answer:
        async with free:
            answer = await answer_call(opening, number=number)
        if answer.taken_for != answer.is_:
            print(f"  {_told(answer)}", flush=True)
        return answer

    with watched_loop() as blocks:
        answers = await asyncio.gather(*(one(number, opening) for number, opening in enumerate(openings)))
    return answers, blocks.longer_than(_LATE_S)


def _told(answer: Answer) -> str:
    verdicts = ", ".join(f"{who} at {at:.1f}" for who, at in answer.verdicts)
    last = f"{answer.stretches[-1][1]:.1f}" if answer.stretches else "–"
    return f"{answer.is_} → {verdicts or 'none'} (over at {last}; {answer.how}): {answer.text} | heard {answer.heard}"


def report_on(answers: Sequence[Answer], *, late: int) -> Report:
    report = Report("openings")
    for half in dict.fromkeys(answer.half for answer in answers):
        _add_half(report, [answer for answer in answers if answer.half == half], half=half)
    _add_people(report, [answer for answer in answers if answer.is_ == HUMAN])
    _add_machines(report, [answer for answer in answers if answer.is_ in MACHINES])
    report.add("moments too slow for the line", late)
    report.notes += [_told(answer) for answer in answers if answer.taken_for != answer.is_]
    report.notes.append(f"{LEFT_OUT} openings are left out: the local voices speak English")
    report.details = {"answers": [{**asdict_of(answer), "taken_for": answer.taken_for} for answer in answers]}
    return report


def asdict_of(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in Answer.__slots__}


def _add_half(report: Report, answers: Sequence[Answer], *, half: str) -> None:
    right = sum(answer.taken_for == answer.is_ for answer in answers)
    report.add(f"{half}: right", f"{right} of {len(answers)}")
    for is_ in KINDS:
        taken = Counter(answer.taken_for for answer in answers if answer.is_ == is_)
        if taken:
            report.add(f"  {is_} taken for", ", ".join(f"{who} {taken[who]}" for who in KINDS if taken[who]))


def _add_people(report: Report, people: Sequence[Answer]) -> None:
    lost = sum(any(who in MACHINES for who, _ in answer.verdicts) for answer in people)
    share = lost / max(1, len(people))
    report.add("people taken for a machine", f"{lost} of {len(people)}", target="≤ 2 %", ok=share <= TAKEN_FOR_MACHINE)
    waited = [(answer, answer.released_at, answer.hello_ended) for answer in people]
    waits = [at - ended for _, at, ended in waited if at is not None and ended is not None]
    greeted = [
        (answer.spoke_at - at, answer.spoke_at - ended)
        for answer, at, ended in waited
        if at is not None and ended is not None and answer.spoke_at is not None
    ]
    report.add("hello → agent released, p50", percentile(waits, 50), "s")
    report.add("hello → agent released, p95", percentile(waits, 95), "s", target=f"≤ {RELEASED_S}", ok=_within(waits))
    report.add("  greeting heard after it, p50", percentile([each for each, _ in greeted], 50), "s")
    report.add("  greeting heard after it, p95", percentile([each for each, _ in greeted], 95), "s")
    report.add("hello → greeting heard, p95", percentile([each for _, each in greeted], 95), "s")
    into = sum(at is not None and ended is None for answer, at, ended in waited if answer.stretches)
    report.add("people who were still speaking, or silent", into)


def _within(waits: Sequence[float]) -> bool:
    return bool(waits) and percentile(waits, 95) <= RELEASED_S


def _add_machines(report: Report, machines: Sequence[Answer]) -> None:
    mailboxes = [answer for answer in machines if answer.is_ == VM]
    early = sum(answer.spoke_into_it and answer.taken_for == VM and answer.released_at is None for answer in mailboxes)
    report.add("messages begun before the mailbox had ended", early, target="0", ok=not early)
    report.add("messages begun", sum(answer.spoke_at is not None and answer.taken_for == VM for answer in mailboxes))
    greeted = sum(answer.spoke_into_it and answer.released_at is not None for answer in machines)
    report.add("machines that were greeted like a person first", f"{greeted} of {len(machines)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.openings", description=__doc__)
    parser.add_argument("--takes", type=int, default=2, help="voices that speak each opening, up to 4")
    parser.add_argument("--parallel", type=int, default=4, help="calls at a time")
    parser.add_argument("--only", choices=["tuned", "held out", "sounds"], default="")
    options = parser.parse_args()
    prepare_database()
    answers, late = asyncio.run(measure(takes=options.takes, parallel=options.parallel, only=options.only))
    return report_on(answers, late=late).publish()


if __name__ == "__main__":
    sys.exit(main())
