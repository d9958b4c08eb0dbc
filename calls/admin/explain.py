"""Why a call ended, and what staff do about it."""

from dataclasses import dataclass

from django.utils import timezone

from calls.admin.states import TONES
from calls.endings import why_it_ended
from calls.models import Call
from tenants.display import moment_text

Disposition, Status = Call.Disposition, Call.Status


@dataclass(frozen=True, slots=True)
class Reason:
    """`next_step` is empty where there is nothing to do."""

    sentence: str
    tone: str
    next_step: str = ""


NEXT_STEPS: dict[str, str] = {
    "max_duration": "If such calls are meant to last longer, raise “Longest call” under the agent's Limits.",
    "silence": "Listen to the recording: if the caller did speak, the line or the speech recognition lost them.",
    "provider_error": (
        "The events below hold the vendor's words. Check the provider's key and quota, or set a fallback on the agent."
    ),
    "no_worker": (
        "Open Worker hosts: at least one must be alive with a free slot. Start one with: manage.py run_voice_worker --local"
    ),
    "expired": "Open Worker hosts: was one alive with a free slot at that time? Place the call again with a later not_after.",
    "never_joined": "A token holds for a minute and the call waits ten. Fetch another token when the first has expired.",
    "worker_lost": "Look into the host's log for a crash or a lack of memory, then place the call again.",
    "worker_shutdown": "Stop hosts with SIGTERM and wait: they finish running calls before they leave.",
    "config_error": "Open the agent, correct the field named here and publish again.",
    "model_missing": "Run manage.py doctor on the host; it names the model and the command that fetches it.",
    "internal_error": "Search the worker's log for this call's id; the events below show the last thing that worked.",
}
# These end a conversation as intended, but not as its people wished.
CUT_SHORT = ("max_duration", "silence")
OPEN: dict[str, str] = {
    Status.QUEUED: "Waiting for a worker host to take it.",
    Status.DISPATCHED: "A worker host has been asked to take it.",
    Status.DIALING: "The number is being dialed.",
    Status.RINGING: "The phone rings.",
    Status.IN_PROGRESS: "The conversation is running now.",
}


def explain(call: Call) -> Reason:
    if call.status == Status.QUEUED and call.not_before and call.not_before > timezone.now():
        return Reason(f"Waiting until {moment_text(call.not_before, call.tenant.timezone)}, as it was asked to.", "info")
    if call.status == Status.QUEUED and call.kind == Call.Kind.WEB:
        return Reason("Waiting for its browser to join.", "info")
    if call.status != Status.ENDED:
        return Reason(OPEN.get(call.status, "The call is on its way."), "info")
    tone = TONES.get(call.disposition, "neutral")
    if tone == "success" and call.ended_reason in CUT_SHORT:
        tone = "warning"
    fallback = "The events below show how far it came." if tone == "danger" else ""
    return Reason(why_it_ended(call), tone, NEXT_STEPS.get(call.ended_reason, fallback))
