"""The independent check of a call: reads rows, recording and the persona's log, and trusts none of them alone."""

from collections import Counter
from decimal import Decimal

from voice_worker.simulation.check.model import CheckedCall, CheckReport, Result, Transcribe
from voice_worker.simulation.check.sound import hear, read_stereo, speech_spans
from voice_worker.simulation.check.words import amounts, digits_of, normalise, sentences, topics, word_error_rate

CALLER_WER_MAX = 0.20
AGENT_WER_MAX = 0.25
LOOP_REPEATS = 3
_OWN_ENDS = ("end_call", "caller_hung_up")
_MEASURED = (("stt", "second"), ("llm", "output_token"), ("tts", "character"))


async def check(call: CheckedCall, transcribe: Transcribe) -> CheckReport:
    """Every result in a fixed order; `transcribe` hears the recording afresh."""
    results = [
        _caller_words(call),
        *await _recording(call, transcribe),
        _amounts(call),
        _message(call),
        _no_loop(call),
        _usage(call),
        _cost(call),
        _end(call),
    ]
    return CheckReport(results=tuple(results))


def _caller_words(call: CheckedCall) -> Result:
    rate = word_error_rate(said=" ".join(call.persona.lines), understood=call.words_of("caller"))
    return Result(
        "caller's words", rate <= CALLER_WER_MAX, f"WER {rate:.2f} of what the persona spoke (at most {CALLER_WER_MAX:.2f})"
    )


async def _recording(call: CheckedCall, transcribe: Transcribe) -> list[Result]:
    if call.recording is None:
        return [Result("recording", ok=False, detail="there is none")]
    try:
        caller, agent = read_stereo(call.recording)
    except ValueError as error:
        return [Result("recording", ok=False, detail=str(error))]
    silent = [name for name, pcm in (("caller", caller), ("agent", agent)) if not speech_spans(pcm)]
    if silent:
        return [Result("recording", ok=False, detail=f"nothing to hear from the {' and the '.join(silent)}")]
    heard = await hear(agent, transcribe)
    return [Result("recording", ok=True, detail=f"{len(agent) / 16_000:.0f} s, both sides speak"), *_agent_words(call, heard)]


def _agent_words(call: CheckedCall, heard: str) -> list[Result]:
    stored = call.words_of("agent")
    rate = word_error_rate(said=stored, understood=heard)
    other = word_error_rate(said=call.words_of("caller"), understood=heard)
    return [
        Result(
            "channels",
            rate <= other,
            "caller left, agent right" if rate <= other else "the agent's side carries the caller's words",
        ),
        Result(
            "agent's words", rate <= AGENT_WER_MAX, f"WER {rate:.2f} of the recording heard afresh (at most {AGENT_WER_MAX:.2f})"
        ),
    ]


def _amounts(call: CheckedCall) -> Result:
    """Each price and time the agent named stands in a fact about what was being talked of."""
    spoken, wrong, asked = 0, [], ""
    for turn in call.turns:
        if turn.speaker == "caller":
            asked = turn.text
            continue
        about = ""
        for sentence in sentences(turn.text):
            about = f"{about} {sentence}"
            for amount in amounts(sentence):
                spoken += 1
                if not _stands(amount, topics(f"{asked} {about}"), call):
                    wrong.append(f"{' '.join(amount)} in “{sentence}”")
    return Result("hours and prices", not wrong, "; ".join(wrong) if wrong else f"{spoken} named, all as in the instructions")


def _stands(amount: tuple[str, str], about: set[str], call: CheckedCall) -> bool:
    lines = [line for line in call.knowledge if amount in amounts(line)]
    return any(topics(line) & about for line in lines)


def _message(call: CheckedCall) -> Result:
    wanted = call.persona
    if not wanted.phone:
        return Result(
            "message", not call.messages, "none was wanted" if not call.messages else "a message was taken that nobody left"
        )
    for row in call.messages:
        if normalise(row.caller_name) == normalise(wanted.name) and digits_of(row.phone) == digits_of(wanted.phone):
            return Result("message", ok=True, detail=f"{row.caller_name}, {row.phone}, {row.reason}")
    taken = "; ".join(f"{row.caller_name}, {row.phone}" for row in call.messages) or "none"
    return Result("message", ok=False, detail=f"wanted {wanted.name}, {wanted.phone}; stored: {taken}")


def _no_loop(call: CheckedCall) -> Result:
    said = Counter(
        " ".join(normalise(sentence)) for turn in call.turns if turn.speaker == "agent" for sentence in sentences(turn.text)
    )
    loops = [sentence for sentence, times in said.items() if times >= LOOP_REPEATS and len(sentence.split()) > 2]
    return Result(
        "no loop",
        not loops,
        f"said {LOOP_REPEATS} times or more: {'; '.join(loops)}" if loops else "no sentence was repeated over and over",
    )


def _usage(call: CheckedCall) -> Result:
    totals = {key: sum((line.quantity for line in call.usage if (line.kind, line.unit) == key), Decimal(0)) for key in _MEASURED}
    missing = [f"{kind} {unit}s" for (kind, unit), quantity in totals.items() if quantity <= 0]
    detail = ", ".join(f"{quantity:.0f} {kind} {unit}s" for (kind, unit), quantity in totals.items())
    return Result("usage", not missing, f"nothing measured for {', '.join(missing)}" if missing else detail)


def _cost(call: CheckedCall) -> Result:
    unpriced = [f"{line.kind} {line.unit}" for line in call.usage if line.quantity and not (line.rate_price and line.rate_per)]
    if unpriced or call.cost is None:
        return Result("cost", ok=False, detail=f"no price for {', '.join(unpriced)}" if unpriced else "the call has no cost")
    exact = sum(
        (line.quantity * line.rate_price / line.rate_per for line in call.usage if line.rate_price and line.rate_per), Decimal(0)
    )
    same = abs(exact - call.cost) <= Decimal("0.000001")
    return Result("cost", same and call.cost > 0, f"{call.cost} stored, {exact:.6f} from quantities and rates")


def _end(call: CheckedCall) -> Result:
    ok = call.disposition == "completed" and call.ended_reason in _OWN_ENDS
    return Result("ending", ok, f"{call.disposition} ({call.ended_reason})")
