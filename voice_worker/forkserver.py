"""The process that local jobs are born from, with everything in place.

Imported by nobody else: it makes the process that imports it deaf to signals meant for a whole process group. The
forkserver must outlive the jobs that were born from it; it ends by itself when its host is gone.
"""

import signal

from voice_worker import preloaded  # noqa: F401

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
