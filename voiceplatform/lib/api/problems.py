"""Refusals as `application/problem+json` (RFC 9457): a stable `code`, the fields at fault, the request's id.

Each app registers what its own errors mean here, so that viewsets need not catch them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from rest_framework.exceptions import APIException

MEDIA_TYPE: Final = "application/problem+json"
DOCS_PATH: Final = "/api/docs/problems"
Params = Callable[[Any], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an error of the platform is to somebody who uses the API. `params` says which fields are at fault."""

    status: int
    code: str
    meaning: str
    params: Params | None = None


class Refusal(APIException):
    """A refusal with its own status and code. `params` has one message per field of the request."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = status
        self.params, self.headers = dict(params or {}), dict(headers or {})
        super().__init__(detail, code)


RULES: Final[dict[type[Exception], Rule]] = {}
REFUSALS: Final[dict[type[Exception], Callable[[Any], Refusal]]] = {}
# The codes that come from REST framework and from the layers around the views.
CODES: Final[dict[str, str]] = {
    "invalid": "The request has fields that do not fit; `errors` names each.",
    "parse_error": "The body is no JSON, or no UTF-8.",
    "not_authenticated": "The request carries no API key. Send `Authorization: Bearer vp_…`.",
    "authentication_failed": "The API key cannot be used; `detail` says why.",
    "permission_denied": "The API key lacks the scope that `detail` names.",
    "not_found": "There is no such thing, or it is not yours.",
    "method_not_allowed": "This address does not take this method; the header Allow lists those it takes.",
    "not_acceptable": "The API answers in JSON only.",
    "unsupported_media_type": "Send `Content-Type: application/json`.",
    "throttled": "Too many requests. Wait as many seconds as the header Retry-After says.",
    "error": "The platform failed; it has been logged under the request's id.",
}


def register(error: type[Exception], *, status: int, code: str, meaning: str, params: Params | None = None) -> None:
    """Let `error`, and what derives from it, be answered so. A derived class may have a rule of its own."""
    RULES[error] = Rule(status=status, code=code, meaning=meaning, params=params)
    CODES[code] = meaning


def register_refusal(error: type[Exception], make: Callable[[Any], Refusal]) -> None:
    """Let `error` be answered with what `make` builds of it: for errors that carry a declared code of their own."""
    REFUSALS[error] = make


def declare(code: str, meaning: str) -> str:
    """Document a code that is raised as a Refusal; returns it."""
    CODES[code] = meaning
    return code


def problem(*, status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "type": f"{DOCS_PATH}#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": errors or [],
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }
