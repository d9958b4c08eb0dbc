"""The way into the API: the key is resolved, its tenant's scope entered around view and rendering, the request noted."""

from time import perf_counter

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from tenants.api.authentication import CALLER_ATTRIBUTE
from tenants.caller import Caller, calling_with
from tenants.errors import InvalidKeyError, NotAnAgencyKeyError
from tenants.scope import tenant_scope
from tenants.services.api_keys import resolve_key
from tenants.services.requests import note_request
from voiceplatform.lib.api.problems import MEDIA_TYPE, declare, problem
from voiceplatform.middleware import API_PATH, Handler, rendered

RESOURCES = f"{API_PATH}v1/"

TOO_LARGE = declare(
    "too_large",
    f"The body has more than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes, or a file more than {settings.VP_IMPORT_MAX_MB} MB.",
)
logger = structlog.get_logger(__name__)


class ApiMiddleware:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(RESOURCES):
            return self.get_response(request)
        began = perf_counter()
        found = _caller(request)
        setattr(request, CALLER_ATTRIBUTE, found)
        if not isinstance(found, Caller):
            return self._answer(request)
        with tenant_scope(found.tenant_id), calling_with(found.key_id):
            response = self._answer(request)
            _note(request, response, caller=found, duration_ms=round((perf_counter() - began) * 1000))
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if _size(request) > _most(request):
            body = problem(status=413, code=TOO_LARGE, detail="The body is too large.")
            return JsonResponse(body, status=413, content_type=MEDIA_TYPE)
        response = rendered(self.get_response(request))
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def client_ip(request: HttpRequest) -> str | None:
    """The peer's address, or what the nearest of VP_PROXIES trusted proxies reports."""
    hops = settings.VP_PROXIES
    if hops:
        reported = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(reported) >= hops and reported[-hops]:
            return reported[-hops]
    address: str | None = request.META.get("REMOTE_ADDR") or None
    return address


def _caller(request: HttpRequest) -> Caller | Exception | None:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    try:
        return resolve_key(secret.strip(), ip=client_ip(request), act_for=request.headers.get("Vp-Tenant", ""))
    except (InvalidKeyError, NotAnAgencyKeyError) as error:
        return error


def _size(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdigit() else 0


def _most(request: HttpRequest) -> int:
    """Of a form with a file, Django counts what is no file."""
    is_form = request.content_type == "multipart/form-data"
    return settings.VP_IMPORT_MAX_MB * 1024 * 1024 if is_form else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _note(request: HttpRequest, response: HttpResponseBase, *, caller: Caller, duration_ms: int) -> None:
    data = getattr(response, "data", None)
    try:
        note_request(
            caller=caller,
            method=request.method or "",
            path=request.path,
            status=response.status_code,
            code=str(data.get("code", "")) if response.status_code >= 400 and isinstance(data, dict) else "",
            duration_ms=duration_ms,
            ip=client_ip(request),
        )
    except DatabaseError as error:
        logger.warning("a request was not noted", error=str(error))
