"""Errors of the calls app. Their texts are written for staff and API users."""

from collections.abc import Mapping
from datetime import datetime


class CallsError(Exception):
    """Base of everything this app raises on purpose."""


class CallNotPlacedError(CallsError):
    """The call was refused; nothing was stored."""


class CallLimitError(CallNotPlacedError):
    """The tenant has as many open calls as its limits allow."""


class NotPublishedError(CallNotPlacedError):
    """The agent has no version such a call may use."""


class GateRefusedError(CallNotPlacedError):
    """A person gate refused the number; `code` says which. From `retry_at` on it would pass, if that is known."""

    def __init__(self, code: str, sentence: str, retry_at: datetime | None = None) -> None:
        self.code, self.retry_at = code, retry_at
        super().__init__(sentence)


class LeadExistsError(CallsError):
    """Another lead of the tenant has this number."""


class InvalidCallError(CallNotPlacedError):
    """The call cannot be placed as it was asked for. `errors` holds one message per field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{field}: {message}" for field, message in self.errors.items()))


class TelephonyNotConfiguredError(CallNotPlacedError):
    """The tenant has no line to ring anybody by."""


class WebCallsNotConfiguredError(CallNotPlacedError):
    """There is no LiveKit server that browsers could call."""


class CallBegunError(CallsError):
    """The call has begun, so nobody else is let into it."""


class NameTakenError(CallsError):
    """Another row of the tenant has this name."""


class NumberTakenError(CallsError):
    """The number routes to somebody already, of this account or another."""


class InUseError(CallsError):
    """Something that is in use cannot be taken away."""


class CarrierError(CallsError):
    """Something about numbers at the carrier that stays so until somebody changes a setting or a row."""


class CarrierNotManagedError(CarrierError):
    """The carrier's numbers are not managed from here."""


class InboundNotConfiguredError(CarrierError):
    """The installation does not say where carriers are to send inbound calls."""


class NotOwnedError(CarrierError):
    """The account has no such number at the carrier."""


class NotRoutedError(CarrierError):
    """The number is not among the tenant's numbers here."""


class NoLineError(CallNotPlacedError):
    """There is no line for the call; `code` says why. `waits` when one may become free."""

    def __init__(self, code: str, sentence: str, *, waits: bool) -> None:
        self.code, self.waits = code, waits
        super().__init__(sentence)


class LiveKitError(CallsError):
    """The LiveKit server did not do what it was asked."""


class NoLiveKitError(LiveKitError):
    """The settings name no LiveKit server."""


class LiveKitDownError(LiveKitError):
    """The server cannot be reached or did not answer in time; whether it has done it is not known."""


class LiveKitRefusedError(LiveKitError):
    """The server said no, in its own words; `code` is its code, e.g. not_found."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


class ForgedEventError(CallsError):
    """A provider's message is not signed as it must be."""


class UnusableEventError(CallsError):
    """A provider's message is of no use, or too far from now."""


class CallEndedError(CallsError):
    """The call has ended already."""


class NotAChatError(CallsError):
    """Messages can be written into chats only."""


class ActionRefusedError(CallsError):
    """What was asked of a running call cannot be had; nothing was stored."""


class NotForThisKindError(ActionRefusedError):
    """There is no such action in calls of this kind."""


class NotAnsweredError(ActionRefusedError):
    """The conversation has not begun yet."""


class AgentGoneError(ActionRefusedError):
    """Two people talk in the call, without an agent."""


class TooManyActionsError(ActionRefusedError):
    """As many actions wait for the call's job as may."""


class WarmTransferError(ActionRefusedError):
    """Transfers in which the caller is introduced cannot be had."""


class InvalidActionError(ActionRefusedError):
    """The action cannot be as it was asked for. `errors` holds one message per field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{field}: {message}" for field, message in self.errors.items()))


class SupervisionRefusedError(ActionRefusedError):
    """Nobody of the staff may come into the call's room; the text says why."""


class ForeignJobError(CallsError):
    """A job wrote about a call that another job, or none, has claimed."""


class UnknownHostError(CallsError):
    """The worker host was never registered, or has retired."""


class DamagedRecordingError(CallsError):
    """The spooled file is missing or is not the one that was announced."""


class NoSuchPlaceError(CallsError):
    """Files lie in a storage that the settings do not name."""


class RecordingNotStoredError(CallsError):
    """The recording is still on its way into the storage, or is lost."""


class InvalidLinkError(CallsError):
    """A link to a recording is forged, has expired, is another recording's, or its maker may no longer listen."""
