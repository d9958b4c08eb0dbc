"""What jobs of the LiveKit host keep out of the log."""

import inspect
import logging

from livekit.agents.ipc import job_proc_lazy_main

from voice_worker import livekit_job


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("livekit.agents", logging.WARNING, __file__, 1, text, None, None)


def test_the_warning_about_how_jobs_begin_is_dropped_as_the_framework_words_it():
    assert livekit_job._EXPECTED in inspect.getsource(job_proc_lazy_main)
    assert not livekit_job._is_unexpected(record(f"{livekit_job._EXPECTED} or performing a proper shutdown. "))
    assert livekit_job._is_unexpected(record("unhandled exception while running the job task"))
