"""How much is kept of a call: everything, no recording, or nothing of what was said."""

from collections.abc import Mapping
from typing import Any, Final

EVERYTHING, NO_RECORDING, NO_CONTENT = POLICIES = ("everything", "no_recording", "no_content")
"""From the most to the least."""
FEATURE: Final = "storage-policy"
HAND_OVER_EVENT: Final = "hand_over"
"""The kind of a call's event that tells who was asked to take the call, and who took it."""
_ERRORS: Final = ("provider_failed", "recording_stopped")


def policy_of(settings: Mapping[str, Any], features: Mapping[str, Mapping[str, Any]]) -> str:
    """The stricter of what the agent's version and its tenant want."""
    wanted: list[str] = [settings.get("kept", EVERYTHING), features.get(FEATURE, {}).get("keeps", EVERYTHING)]
    return max(wanted, key=POLICIES.index)


def without_content(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A journal entry without anything that was said: that something was, when and for how long stays.

    Errors go as well: a vendor's may repeat what it was sent.
    """
    kept = dict(entry)
    match entry.get("op"):
        case "turn":
            kept |= {"text": "", "words": [], "redacted": True}
        case "tool_call":
            kept |= {"arguments": {}, "output": ""}
        case "message":
            kept |= {"caller_name": "", "phone": "", "reason": ""}
        case "status" if entry.get("detail"):
            kept["detail"] = ""
        case "event" if entry.get("kind") in _ERRORS:
            kept["data"] = {}
        case "event" if entry.get("kind") == HAND_OVER_EVENT:
            kept["data"] = {**entry.get("data", {}), "summary": ""}
    return kept
