"""What the forkserver imports once, so that a job starts in milliseconds with everything in place.

Imported by nobody else: it makes the process that imports it deaf to signals meant for a whole process group. The
forkserver must outlive the jobs that were born from it; it ends by itself when its host is gone.
"""

import gc
import signal

from voice_worker import far_ends, job_process  # noqa: F401

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)

# What was imported lives for ever: collections in the middle of a call need not walk it, nor jobs copy its pages.
gc.collect()
gc.freeze()
