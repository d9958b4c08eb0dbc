"""Why a call ended, in a sentence staff understand, and what to do about it."""

from dataclasses import dataclass

from calls.models import Call


@dataclass(frozen=True, slots=True)
class Reason:
    """`next_step` is empty where there is nothing to do."""

    sentence: str
    tone: str
    next_step: str = ""


REASONS: dict[str, Reason] = {
    "caller_hung_up": Reason("The caller hung up.", "success"),
    "end_call": Reason("The agent said goodbye and hung up.", "success"),
    "max_duration": Reason(
        "The call reached its longest duration and was ended by its agent.",
        "warning",
        "If such calls are meant to last longer, raise “Longest call” under the agent's Limits.",
    ),
    "idle": Reason("Nobody wrote for five minutes, so the chat was closed.", "success"),
    "silence": Reason(
        "The caller stayed silent and did not answer when asked whether they were still there.",
        "warning",
        "Listen to the recording: if the caller did speak, speech recognition or the line lost them.",
    ),
    "provider_error": Reason(
        "A provider of speech or language failed for good, so the agent apologised and hung up.",
        "danger",
        "Open the events below for the vendor's words; check the provider's key and quota, or set a fallback on the agent.",
    ),
    "no_worker": Reason(
        "No worker host took the call in time.",
        "danger",
        "Open Worker hosts: at least one must be alive with a free slot. Start one with: manage.py run_voice_worker --local",
    ),
    "worker_lost": Reason(
        "The worker host holding the call stopped answering in mid-call; what had been said until then is kept.",
        "danger",
        "Look at the host's log for a crash or a lack of memory, then place the call again.",
    ),
    "worker_shutdown": Reason(
        "The worker host was shut down before the call could finish.",
        "danger",
        "Stop hosts with SIGTERM and wait: they finish running calls before they leave.",
    ),
    "config_error": Reason(
        "The agent's settings could not be used for this call.",
        "danger",
        "Open the agent, correct the field named in the detail and publish again.",
    ),
    "model_missing": Reason(
        "A model this agent needs is not on the worker host.",
        "danger",
        "Run manage.py doctor on the host; it names the model and the command that fetches it.",
    ),
    "internal_error": Reason(
        "The platform itself failed during the call.",
        "danger",
        "Search the worker's log for this call's id; the events below show the last thing that worked.",
    ),
    "canceled_by_user": Reason("Somebody of the staff hung up.", "neutral"),
}

BY_DISPOSITION: dict[str, Reason] = {
    "completed": Reason("The conversation ended normally.", "success"),
    "canceled": Reason("The call was canceled.", "neutral"),
    "failed": Reason("The call failed.", "danger", "The events below show how far it came."),
}

OPEN: dict[str, str] = {
    "queued": "Waiting for a worker host to take it.",
    "dispatched": "A worker host has been asked to take it.",
    "in_progress": "The conversation is running now.",
}


def explain(call: Call) -> Reason:
    if call.status != Call.Status.ENDED:
        return Reason(OPEN.get(call.status, "The call is on its way."), "info")
    reason = REASONS.get(call.ended_reason) or BY_DISPOSITION.get(call.disposition)
    if reason is not None:
        return reason
    said = call.ended_reason or call.disposition
    return Reason(f"The call ended as {call.get_disposition_display()}: {said.replace('_', ' ')}.", "neutral")
