"""What is known about somebody who calls, by their number."""

from typing import Any, Final

from calls.models import Call, Lead, Message

MOST_CALLS: Final = 5
MOST_MESSAGES: Final = 3


def caller_context(phone: str) -> dict[str, Any]:
    """Of the tenant in scope. Numbers can be forged, so it is good for a friendly start and proves nothing."""
    if not phone:
        return {}
    lead = Lead.objects.filter(phone=phone).first()
    calls = Call.objects.filter(phone=phone, status=Call.Status.ENDED).order_by("-id")[:MOST_CALLS]
    earlier = [{"at": f"{call.created_at:%Y-%m-%d}", "kind": call.kind, "disposition": call.disposition} for call in calls]
    messages = Message.objects.filter(call__phone=phone).order_by("-id").values_list("reason", flat=True)[:MOST_MESSAGES]
    found = {"name": lead.name if lead else "", "earlier_calls": earlier, "messages": [text[:200] for text in messages if text]}
    return {key: value for key, value in found.items() if value}
