"""What jobs share: imported once by the process that they are born from, so that no job loads it for itself.

Touches no database, starts no thread and opens no socket.
"""

import gc
from datetime import date
from importlib import import_module
from typing import Final

from voice_worker import far_ends, job_process, livekit_job  # noqa: F401
from voiceplatform.lib.holidays import holiday_name
from voiceplatform.lib.phone import parse_phone

_LATE: Final = (
    "av.subtitles.stream",
    "celery.app.amqp",
    "celery.app.events",
    "celery.fixups.django",
    "celery.loaders.app",
    "kombu.transport.redis",
    "numpy.ma",
)
"""What libraries import when they are first used, as far as a call comes to that."""

for name in _LATE:
    import_module(name)
holiday_name("US", date(2026, 1, 1))
parse_phone("+12025550143")

# What was imported lives for ever: collections in the middle of a call need not walk it, nor jobs copy its pages.
gc.collect()
gc.freeze()
