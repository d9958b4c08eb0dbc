"""The colours of a call's state, the same on every page."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from calls.models import Call
from tenants.display import badge

Status, Disposition = Call.Status, Call.Disposition

TONES: dict[str, str] = {
    Disposition.COMPLETED: "success",
    Disposition.TRANSFERRED: "success",
    Disposition.VOICEMAIL: "info",
    Disposition.NO_ANSWER: "warning",
    Disposition.BUSY: "warning",
    Disposition.REJECTED: "warning",
    Disposition.INVALID_NUMBER: "warning",
    Disposition.BLOCKED: "warning",
    Disposition.CANCELED: "neutral",
    Disposition.FAILED: "danger",
    Disposition.UNKNOWN: "danger",
}
ENDED_BADLY = (Disposition.FAILED, Disposition.UNKNOWN)
TALKING = (Status.IN_PROGRESS, Status.HANDED_OVER)


def state_badge(call: Call) -> SafeString:
    if call.status == Status.ENDED:
        return badge(call.get_disposition_display(), TONES.get(call.disposition, "neutral"), title=call.ended_reason)
    live = "vp-live" if call.status in TALKING else ""
    return format_html('<span class="vp-badge vp-info {}">{}</span>', live, call.get_status_display())
