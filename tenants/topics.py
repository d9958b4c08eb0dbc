"""Which news there is, and which subscribers hear it: names only, so that publishing loads no other app.

A subscriber such as `analytics.roll_up_call` is the handler registered under that name in `analytics/handlers.py`.
"""

from typing import Final

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "agent.published": (),
    "call.queued": (),
    "call.in_progress": (),
    "call.ended": (),
    "call.finalized": ("analytics.roll_up_call",),
    "call.repriced": ("analytics.reprice_call",),
    "recording.ready": (),
    "feature.changed": (),
}
