"""Errors of the calls app. Their texts are written for staff and API users."""


class CallsError(Exception):
    """Base of everything this app raises on purpose."""


class CallNotPlacedError(CallsError):
    """The call was refused; nothing was stored."""


class CallLimitError(CallNotPlacedError):
    """The tenant has as many open calls as its limits allow."""


class NotPublishedError(CallNotPlacedError):
    """The agent has no version such a call may use."""


class CallEndedError(CallsError):
    """The call has ended already."""


class ForeignJobError(CallsError):
    """A job wrote about a call that another job, or none, has claimed."""


class UnknownHostError(CallsError):
    """The worker host was never registered, or has retired."""


class DamagedRecordingError(CallsError):
    """The spooled file is missing or is not the one that was announced."""
