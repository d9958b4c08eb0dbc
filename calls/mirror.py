"""Asking for LiveKit to be brought up to date. A wake-up that is lost delays that until the next round."""

from typing import Final

from voiceplatform.lib import broker

SYNC_TASK: Final = "calls.tasks.sync_telephony"


def wake_on_commit() -> None:
    broker.send_on_commit(SYNC_TASK)
