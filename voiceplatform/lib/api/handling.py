"""From an exception in a view to the problem it is answered with."""

from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as ModelError
from django.http import Http404
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from rest_framework import exceptions
from rest_framework.response import Response

from voiceplatform.lib.api.problems import MEDIA_TYPE, REFUSALS, RULES, Refusal, problem

WHOLE: Final = "non_field_errors"


class ProblemHandler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, Http404):
            return exceptions.NotFound(str(exc) or None)
        if isinstance(exc, ModelError):
            return Refusal(400, "invalid", "Some fields do not fit.", params=_first_messages(exc))
        if isinstance(exc, RequestDataTooBig):
            return Refusal(413, "too_large", "The body is too large.")
        for kind in type(exc).__mro__:
            if make := REFUSALS.get(kind):
                return make(exc)
            if rule := RULES.get(kind):
                params = rule.params(exc) if rule.params else {}
                return Refusal(rule.status, rule.code, _sentence(str(exc)), params=params)
        known: Exception = super().convert_known_exceptions(exc)
        return known

    def get_headers(self, exc: exceptions.APIException) -> dict[str, str]:
        headers: dict[str, str] = super().get_headers(exc)
        return {**headers, **getattr(exc, "headers", {})}

    def report_exception(self, exc: exceptions.APIException, response: Response) -> None:
        """A refusal is meant, also with a 503: only what nobody expected is an error of ours."""
        if not isinstance(exc, Refusal):
            super().report_exception(exc, response)

    def get_response(self, exc: exceptions.APIException, data: dict[str, Any]) -> Response:
        response: Response = super().get_response(exc, data)
        response.content_type = MEDIA_TYPE
        return response


class ProblemFormatter(ExceptionFormatter):
    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        found: list[dict[str, Any]] = [
            {"param": error.attr, "code": error.code, "detail": error.detail} for error in error_response.errors
        ]
        if isinstance(self.exc, Refusal):
            code, detail = str(self.exc.get_codes()), str(self.exc.detail)
            errors: list[dict[str, Any]] = [
                {"param": param, "code": code, "detail": message} for param, message in self.exc.params.items()
            ]
        elif isinstance(self.exc, exceptions.ValidationError):
            code, errors = "invalid", found
            detail = _summary(found)
        else:
            code, detail, errors = str(found[0]["code"] or "error"), str(found[0]["detail"]), []
        return problem(status=self.exc.status_code, code=code, detail=detail, errors=errors)


def _summary(errors: list[dict[str, Any]]) -> str:
    named = [f"{error['param']}: {error['detail']}" if error["param"] else str(error["detail"]) for error in errors[:3]]
    more = f" And {len(errors) - 3} more." if len(errors) > 3 else ""
    return " ".join(named) + more


def _first_messages(error: ModelError) -> dict[str, str]:
    if hasattr(error, "error_dict"):
        return {WHOLE if field == "__all__" else field: messages[0] for field, messages in error.message_dict.items()}
    return {WHOLE: error.messages[0]}


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."
