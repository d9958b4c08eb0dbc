"""A call's events in words."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from agents.admin.differences import in_words
from calls.models import CallCommand, CallEvent, Supervision
from calls.outcomes import Retry
from calls.policies import HAND_OVER_EVENT
from calls.services.targets import hand_over_facts
from calls.storage_problems import PROBLEMS

Told = tuple[str, list[tuple[str, str]]]
_RETRIES: Final[Mapping[str, str]] = {
    Retry.NEVER: "Trying again is of no use before something has changed.",
    Retry.LATER: "Trying again later makes sense.",
    Retry.SOON: "It can be tried again soon.",
}


def told(event: CallEvent) -> Told:
    """A title or sentence, and what else is known, name by name."""
    if (sentence := _SENTENCES.get(event.kind)) is not None:
        return sentence(event.data), []
    data = [(name.replace("_", " "), in_words(value)) for name, value in event.data.items() if value not in ("", None, [], {})]
    return event.kind.replace("_", " ").replace(".", " ").capitalize(), data


def _hook(data: Mapping[str, Any]) -> str:
    took = f"after {data['duration_ms']} ms" if "duration_ms" in data else "in time"
    if problem := data.get("problem"):
        return f"The number's hook was asked and decided nothing ({took}): {problem} The number's own settings held."
    return f"The number's hook was asked, and answered {took}."


def _dial_ended(data: Mapping[str, Any]) -> str:
    counts = "It counts as a try to reach the person." if data.get("is_attempt") else "It is not counted as a try to reach them."
    return " ".join(filter(None, ["The dial ended without a conversation.", counts, _RETRIES.get(data.get("retry", ""), "")]))


def _action_done(data: Mapping[str, Any]) -> str:
    broken_off = " The caller broke it off." if data.get("interrupted") else ""
    return f"Asked from outside and done: {_action(data)}.{broken_off}"


def _action_failed(data: Mapping[str, Any]) -> str:
    return (
        f"Asked from outside and not done: {_action(data)}, because of {str(data.get('reason', 'no reason')).replace('_', ' ')}."
    )


def _action(data: Mapping[str, Any]) -> str:
    kind = data.get("action", "")
    return CallCommand.Kind(kind).label if kind in CallCommand.Kind.values else str(kind)


def _supervisor_joined(data: Mapping[str, Any]) -> str:
    return "Somebody of the staff " + (
        "took over the call." if data.get("mode") == Supervision.Mode.TAKE_OVER else "listened in."
    )


def _supervisor_left(data: Mapping[str, Any]) -> str:
    took_over = data.get("mode") == Supervision.Mode.TAKE_OVER
    return "Whoever of the staff " + ("had taken over" if took_over else "listened in") + " left the call."


def _consent(data: Mapping[str, Any]) -> str:
    return _CONSENTS.get(data.get("answer", ""), "The caller was asked whether the call may be recorded.")


def _paused(data: Mapping[str, Any]) -> str:
    return "The recording was paused: from here on nothing that was said is kept."


def _resumed(data: Mapping[str, Any]) -> str:
    if data.get("by") == "time":
        return "The recording went on by itself, because the pause had lasted as long as the agent's settings allow."
    return "The recording went on."


def _hand_over(data: Mapping[str, Any]) -> str:
    facts = hand_over_facts(data)
    tried = "; ".join(f"{each['name']}: {each['outcome'].replace('_', ' ')}" for each in facts["tried"])
    taken = f"{facts['target']['name']} took the call." if facts["target"] else "Nobody took the call."
    said = [f"The caller was to be handed over ({facts['reason'].replace('_', ' ')}).", taken]
    said += [f"Asked: {tried}."] if tried else []
    return " ".join([*said, *([f"Summary: {facts['summary']}"] if facts["summary"] else [])])


_CONSENTS: Final[Mapping[str, str]] = {
    "yes": "The caller agreed to be recorded; the recording begins here.",
    "no": "The caller did not want to be recorded, so there is no recording.",
    "none": "The caller was asked whether the call may be recorded and did not say; it is not recorded.",
    "withdrawn": "The caller no longer wanted to be recorded; the recording ends here.",
}


def _waits(data: Mapping[str, Any]) -> str:
    problem = PROBLEMS.get(data.get("problem", ""))
    said = problem.sentence if problem else "The storage did not take it."
    return f"The recording waits on its worker host. {said} ({data.get('detail', '')})"


_SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "inbound_hook": _hook,
    "dial_ended": _dial_ended,
    "action_done": _action_done,
    "action_failed": _action_failed,
    "supervisor_joined": _supervisor_joined,
    "supervisor_left": _supervisor_left,
    HAND_OVER_EVENT: _hand_over,
    "recording_consent": _consent,
    "recording_paused": _paused,
    "recording_resumed": _resumed,
    "recording_waits": _waits,
}
