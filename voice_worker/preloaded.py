"""What jobs share: imported once by the process that they are born from, so that no job loads it for itself.

Touches no database, starts no thread and opens no socket.
"""

from voice_worker import bootstrap  # noqa: F401, I001  sets Django up before any model is imported

import gc
from importlib import import_module
from typing import Final

from livekit.agents.utils import http_context

from calls.services import gates
from voice_worker import far_ends, job_process, livekit_job  # noqa: F401

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
gates.warm_up()
# The framework keeps it for the process: reading all authorities holds up a job's loop for a tenth of a second.
http_context._create_ssl_context()  # noqa: SLF001

# What was imported lives for ever: collections in the middle of a call need not walk it, nor jobs copy its pages.
gc.collect()
gc.freeze()
