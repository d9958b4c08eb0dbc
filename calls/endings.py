"""How calls end, in sentences."""

from collections.abc import Mapping
from typing import Final

from calls.models import Call

Disposition = Call.Disposition

REASONS: Final[Mapping[str, str]] = {
    "caller_hung_up": "The caller hung up.",
    "end_call": "The agent said goodbye and hung up.",
    "max_duration": "The call reached its longest duration.",
    "idle": "Nobody wrote for five minutes, so the chat was closed.",
    "silence": "The caller said nothing, also when asked whether they were still there.",
    "provider_error": "A provider of speech or language failed for good.",
    "no_worker": "No worker took the call.",
    "worker_lost": "The worker that held the call stopped answering; what was said until then is kept.",
    "worker_shutdown": "The worker that held the call was shut down.",
    "config_error": "The agent's settings could not be used.",
    "model_missing": "A model the agent needs is not on the worker's machine.",
    "internal_error": "The platform itself failed.",
    "canceled_by_user": "It was ended from the console or over the API.",
    "expired": "No worker could take it before the time it had to begin by.",
}

DISPOSITIONS: Final[Mapping[str, str]] = {
    Disposition.COMPLETED: "The conversation was completed.",
    Disposition.TRANSFERRED: "The caller was put through to a person.",
    Disposition.VOICEMAIL: "A mailbox answered.",
    Disposition.NO_ANSWER: "Nobody answered.",
    Disposition.BUSY: "The line was busy.",
    Disposition.REJECTED: "The call was rejected.",
    Disposition.INVALID_NUMBER: "The number does not exist.",
    Disposition.CANCELED: "The call was canceled.",
    Disposition.BLOCKED: "The call was not allowed.",
    Disposition.FAILED: "The call failed.",
    Disposition.UNKNOWN: "It is not known how the call ended.",
}

# Where these came of themselves, the reason alone says everything.
_PLAIN: Final = {
    (Disposition.COMPLETED, "caller_hung_up"),
    (Disposition.COMPLETED, "end_call"),
    (Disposition.COMPLETED, "idle"),
    (Disposition.COMPLETED, "silence"),
    (Disposition.COMPLETED, "max_duration"),
    (Disposition.CANCELED, "canceled_by_user"),
}


def why_it_ended(call: Call) -> str:
    """Sentences for staff; empty while the call is open. A reason unknown here is given in the network's own word."""
    if call.status != Call.Status.ENDED:
        return ""
    reason = REASONS.get(call.ended_reason, f"Reason given: {call.ended_reason.replace('_', ' ')}.")
    parts = [reason] if (call.disposition, call.ended_reason) in _PLAIN else [DISPOSITIONS[call.disposition], reason]
    return " ".join([*parts, call.ended_detail]).strip()
