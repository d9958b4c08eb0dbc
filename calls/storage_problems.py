"""Why a file could not be brought into its storage, and what somebody does about it."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Problem:
    """`next_step` is for staff; trying again goes on by itself in any case."""

    sentence: str
    next_step: str


PROBLEMS: Final[Mapping[str, Problem]] = {
    "unreachable": Problem(
        "The storage did not answer.",
        "Wait, it is tried again by itself. If it lasts: run manage.py doctor on the worker host, which says what is away.",
    ),
    "no_bucket": Problem(
        "The bucket does not exist.",
        "Check the bucket's name in GCS_RECORDINGS_BUCKET (or GCS_BUCKET), or create it; then run manage.py doctor.",
    ),
    "key_refused": Problem(
        "The storage no longer takes our key.",
        "Make a new key for the service account and put it into the file of GOOGLE_CLOUD_CREDENTIALS, where it is used at once. "
        "Where the key itself is in the settings, start the worker hosts anew.",
    ),
    "forbidden": Problem(
        "The storage knows our key and does not let it write.",
        "Give the service account the role Storage Object User on the bucket; for a folder, make it the worker's own.",
    ),
    "full": Problem("The storage is full.", "Free space or raise the quota; the file waits on its worker host meanwhile."),
    "differs": Problem(
        "What the storage gave back is not what was sent.",
        "It is sent again by itself. If it lasts, check the disk or the proxy between host and storage.",
    ),
    "failed": Problem(
        "The storage failed.", "Look for the words below in the vendor's documentation; it is tried again by itself."
    ),
}


class CopyDiffersError(OSError):
    """The copy in the storage, read back, is not the file that was sent."""


def problem_of(error: BaseException) -> str:
    """One of PROBLEMS. Knows vendors' errors by what they look like, because their packages cost a second to import."""
    module, name = type(error).__module__, type(error).__name__
    if module.startswith("google.auth"):
        return "unreachable" if name == "TransportError" or getattr(error, "retryable", False) else "key_refused"
    if module.startswith("google.api_core") and name == "RetryError" and (cause := getattr(error, "cause", None)):
        return problem_of(cause)
    if (status := _status(error)) is not None:
        return _by_status(status)
    return _by_class(error, from_network=module.startswith(("requests", "urllib3", "google.api_core")))


def _by_class(error: BaseException, *, from_network: bool) -> str:
    if isinstance(error, CopyDiffersError):
        return "differs"
    if from_network or isinstance(error, ConnectionError | TimeoutError):
        return "unreachable"
    if isinstance(error, OSError) and error.errno:
        return "full" if error.errno in _FULL else "forbidden" if error.errno in _FORBIDDEN else "unreachable"
    return "failed"


def in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _status(error: BaseException) -> int | None:
    """The HTTP status of a vendor's error."""
    found: Any = getattr(error, "code", None)
    if found is None and (response := getattr(error, "response", None)) is not None:
        found = getattr(response, "status_code", None)
    return int(found) if isinstance(found, int) else None


def _by_status(status: int) -> str:
    if status == HTTPStatus.UNAUTHORIZED:
        return "key_refused"
    if status == HTTPStatus.FORBIDDEN:
        return "forbidden"
    if status == HTTPStatus.NOT_FOUND:
        return "no_bucket"
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        return "unreachable"
    return "failed"
