"""Which news there is, and which subscribers hear it: names only, so that publishing loads no other app.

A subscriber such as `analytics.roll_up_call` is the handler registered under that name in `analytics/handlers.py`.
"""

from typing import Final

WEBHOOKS: Final = "integrations.webhooks"
NOTICES: Final = "integrations.notices"

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "agent.published": (WEBHOOKS,),
    "call.queued": (WEBHOOKS,),
    "call.in_progress": (WEBHOOKS,),
    "call.ended": ("calls.close_room",),
    "call.hand_over_ended": (WEBHOOKS,),
    "call.finalized": ("analytics.roll_up_call", WEBHOOKS),
    "call.repriced": ("analytics.reprice_call",),
    "message.taken": (WEBHOOKS,),
    "recording.ready": (WEBHOOKS,),
    "feature.changed": (WEBHOOKS,),
    "webhook_endpoint.failing": (NOTICES,),
    "webhook_endpoint.disabled": (NOTICES,),
}
