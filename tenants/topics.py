"""Which news there is, and which subscribers hear it: names only, so that publishing loads no other app.

The subscriber `analytics.roll_up_call` is the handler registered under that name in `analytics/handlers.py`.
"""

from typing import Final

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "agent.published": (),
    "call.ended": (),
    "call.finalized": ("analytics.roll_up_call",),
    "recording.ready": (),
    "feature.changed": (),
}
