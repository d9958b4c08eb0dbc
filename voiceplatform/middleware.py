"""Request ids in every log line, and the tenant scope of staff pages."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import reverse
from django.utils import timezone

from tenants.models import Tenant, User
from tenants.scope import all_tenants, tenant_scope
from tenants.staff import StaffScope, remember_scope, resolve_scope
from voiceplatform.lib.ids import uuid7

STAFF_TENANT_KEY = "staff_tenant_id"
# A browser sends its session along there too; what counts is the key.
API_PATH = "/api/"
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
    """Scopes staff requests to the tenant chosen in the header, or lifts the scope where all may be seen.

    The response is rendered inside the scope, because admin templates run queries. Staff who are members of
    no tenant get an explanation instead of a page.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(API_PATH):
            return self.get_response(request)
        user = request.user
        if not (isinstance(user, User) and user.is_active and user.is_staff):
            return self.get_response(request)
        with all_tenants():
            scope = resolve_scope(user=user, chosen=_chosen(request))
        if scope is None:
            return self._without_tenant(request)
        remember_scope(request, scope)
        with _enter(scope), timezone.override(_zone(scope.tenant)):
            return rendered(self.get_response(request))

    def _without_tenant(self, request: HttpRequest) -> HttpResponseBase:
        open_paths = {reverse("admin:logout"), reverse("admin:login"), reverse("admin:password_change"), reverse("healthz")}
        if request.path in open_paths or not request.path.startswith(reverse("admin:index")):
            return self.get_response(request)
        return TemplateResponse(request, "admin/console/no_tenant.html", status=403).render()


def _chosen(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.session.get(STAFF_TENANT_KEY, ""))
    except ValueError:
        return None


def _enter(scope: StaffScope) -> AbstractContextManager[None]:
    return tenant_scope(scope.tenant) if scope.tenant else all_tenants()


def _zone(tenant: Tenant | None) -> ZoneInfo:
    return ZoneInfo(tenant.timezone if tenant else "UTC")


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """The response, rendered while the scope it needs is still entered."""
    if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
        response.render()
    return response
