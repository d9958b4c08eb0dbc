"""What livekit-sip makes of a phone company's final answer: an error for the one who asked, a reason for those in the room."""

from typing import Final

from livekit import rtc

from voice_worker.simulation.carrier.bus import RpcError

RING_S: Final = 180.0

_CODES: Final = {
    401: "permission_denied",
    402: "permission_denied",
    403: "permission_denied",
    404: "not_found",
    407: "unauthenticated",
    408: "deadline_exceeded",
    409: "failed_precondition",
    410: "not_found",
    433: "permission_denied",
    480: "resource_exhausted",
    481: "not_found",
    482: "failed_precondition",
    483: "failed_precondition",
    486: "resource_exhausted",
    487: "aborted",
    491: "aborted",
    504: "deadline_exceeded",
    505: "invalid_argument",
    513: "invalid_argument",
    600: "resource_exhausted",
    603: "permission_denied",
    604: "not_found",
    607: "permission_denied",
    608: "permission_denied",
}
_BY_CLASS: Final = {3: "invalid_argument", 4: "invalid_argument", 5: "failed_precondition", 6: "invalid_argument"}
_NAMES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    480: "Temporarily Unavailable",
    484: "Address Incomplete",
    486: "Busy Here",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    607: "Unwanted",
    608: "Rejected",
}


def refusal(status: int, text: str = "") -> RpcError:
    code = _CODES.get(status) or _BY_CLASS[status // 100]
    return RpcError(code, text or _NAMES.get(status, "Refused"), status=status)


def gave_up(text: str) -> RpcError:
    """No final answer came at all, so there is no SIP status to tell."""
    return RpcError("canceled", text)


def leaves_as(status: int) -> int:
    """The disconnect reason a refused leg leaves its room with; 0: it rang out."""
    if status in {0, 404, 408, 410, 480, 604}:
        return int(rtc.DisconnectReason.USER_UNAVAILABLE)
    if status >= 600 or status in {401, 403, 407, 486}:
        return int(rtc.DisconnectReason.USER_REJECTED)
    return int(rtc.DisconnectReason.SIP_TRUNK_FAILURE)
