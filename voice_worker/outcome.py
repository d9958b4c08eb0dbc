"""How a call ended, in the words the call's row uses."""

from dataclasses import dataclass
from typing import Final

COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELED: Final = "canceled"


@dataclass(frozen=True, slots=True)
class Outcome:
    disposition: str
    reason: str
    detail: str = ""

    @property
    def is_well(self) -> bool:
        """Somebody in the conversation ended it, not a limit and not a failure."""
        return self.disposition == COMPLETED and self.reason in ("end_call", "caller_hung_up", "recipient_hung_up")


CALLER_HUNG_UP: Final = Outcome(COMPLETED, "caller_hung_up")
END_CALL: Final = Outcome(COMPLETED, "end_call")
MAX_DURATION: Final = Outcome(COMPLETED, "max_duration")
TRANSFERRED: Final = Outcome("transferred", "put_through")
HANDED_OVER: Final = Outcome("", "handed_over")
"""The call goes on without its job."""
IDLE: Final = Outcome(COMPLETED, "idle")
SILENCE: Final = Outcome(COMPLETED, "silence")
WORKER_SHUTDOWN: Final = Outcome(FAILED, "worker_shutdown", "The worker was told to stop.")


CPS_MISSED: Final = Outcome(FAILED, "cps_missed", "It was not ready when its turn came.")
CONNECTION_LOST: Final = Outcome(FAILED, "connection_lost", "The other side's connection ended without a hang-up.")
VOICEMAIL: Final = Outcome("voicemail", "voicemail")
MESSAGE_LEFT: Final = Outcome("voicemail", "message_left")
UNAVAILABLE: Final = Outcome("voicemail", "machine_unavailable")
MENU: Final = Outcome("no_answer", "menu")
SCREENED: Final = Outcome("rejected", "screened")
LEFT_BEFORE: Final = Outcome(CANCELED, "caller_hung_up", "They left before the conversation began.")
RECIPIENT_HUNG_UP: Final = Outcome(COMPLETED, "recipient_hung_up")


class CallOverError(Exception):
    """The call ended before anybody could talk."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(f"{outcome.disposition}: {outcome.reason}")


class PutBackError(Exception):
    """The call waits in the queue again, and the job has no more to do with it."""


def canceled(reason: str) -> Outcome:
    return Outcome(CANCELED, "canceled_by_user", reason)


def provider_error(detail: str) -> Outcome:
    return Outcome(FAILED, "provider_error", detail)


def config_error(detail: str) -> Outcome:
    return Outcome(FAILED, "config_error", detail)


def internal_error(error: BaseException) -> Outcome:
    return Outcome(FAILED, "internal_error", f"{type(error).__name__}: {error}")
