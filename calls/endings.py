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
    "room_lost": "The call's room was gone from the LiveKit server; what was said until then is kept.",
    "worker_shutdown": "The worker that held the call was shut down.",
    "config_error": "The agent's settings could not be used.",
    "model_missing": "A model the agent needs is not on the worker's machine.",
    "internal_error": "The platform itself failed.",
    "canceled_by_user": "It was ended from the console or over the API.",
    "busy": "The line was busy.",
    "no_answer": "The phone rang and nobody answered.",
    "declined": "The call was declined.",
    "blocked_by_network": "The network blocked the call, as it does with unwanted ones.",
    "unallocated": "The number is not in use.",
    "no_response": "The network did not say in time what became of the call.",
    "trunk_credentials": "The carrier refused the trunk's user name or password.",
    "trunk_address": "The trunk's address cannot be used.",
    "trunk_unknown": "The LiveKit server does not know the trunk.",
    "trunk_stopped": "The trunk is stopped.",
    "trunk_not_ready": "The trunk is not ready on the LiveKit server.",
    "trunk_not_granted": "The account may not use the trunk any more.",
    "no_telephony": "No SIP service answered the LiveKit server.",
    "carrier_limit": "The carrier takes no more calls at the moment.",
    "carrier_error": "The carrier had trouble.",
    "call_refused": "The carrier refused the call.",
    "cps_missed": "The call missed its turn on the trunk.",
    "people_hung_up": "The two people whom the agent had connected have hung up.",
    "recipient_hung_up": "The person who was called hung up.",
    "voicemail": "It was hung up on.",
    "message_left": "The agent left its message.",
    "machine_unavailable": "It said that nobody can be reached there or that it takes no messages.",
    "menu": "A menu answered instead of a person.",
    "screened": "The phone asked who was calling, and the agent hung up, as its settings say.",
    "connection_lost": "The connection to the other side was lost.",
    "no_capacity": "All lines or workers were taken.",
    "suspended": "The account takes no calls.",
    "rejected_by_hook": "The number's hook rejected the call.",
    "nobody_answers": "The number has no agent that could answer.",
    "closed": "It was outside the number's hours, and a sentence was spoken.",
    "forwarded": "The caller was put through to a number.",
    "put_through": "Staff or a program had them put through while the call ran.",
    "not_forwarded": "The caller could not be put through.",
    "never_joined": "No browser joined it in time.",
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
    (Disposition.COMPLETED, "recipient_hung_up"),
    (Disposition.COMPLETED, "people_hung_up"),
    (Disposition.COMPLETED, "end_call"),
    (Disposition.BUSY, "busy"),
    (Disposition.NO_ANSWER, "no_answer"),
    (Disposition.REJECTED, "declined"),
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
