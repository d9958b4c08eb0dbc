"""Request ids in every log line, and the tenant scope of staff pages."""

from collections.abc import Callable
from contextlib import nullcontext
from uuid import UUID

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from tenants.models import User
from tenants.scope import all_tenants, tenant_scope
from voiceplatform.lib.ids import uuid7

STAFF_TENANT_KEY = "staff_tenant_id"
Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Binds `request_id` (taken from X-Request-Id when it is short and plain) and answers with it."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if given.isascii() and given.replace("-", "").isalnum() and len(given) <= 64 else str(uuid7())
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


class StaffTenantMiddleware:
    """Scopes staff requests to the tenant chosen in the header, or lifts the scope where none is chosen.

    The response is rendered inside the scope, because admin templates run queries.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with self._scope(request):
            response = self.get_response(request)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                response.render()
        return response

    def _scope(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        user = request.user
        if not (isinstance(user, User) and user.is_active and user.is_staff):
            return nullcontext()
        chosen = request.session.get(STAFF_TENANT_KEY)
        if chosen:
            return tenant_scope(UUID(chosen))
        return all_tenants()
