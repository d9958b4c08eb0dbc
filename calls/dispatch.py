"""Asking for waiting calls to be given out. A wake-up that is lost delays them until the next round."""

from typing import Final

from voiceplatform.lib import broker

DISPATCH_TASK: Final = "calls.tasks.dispatch_calls"


def wake_on_commit() -> None:
    broker.send_on_commit(DISPATCH_TASK)
