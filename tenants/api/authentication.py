"""Who asks, as the middleware found out, and whether their scopes allow what they ask."""

from collections.abc import Mapping
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tenants.caller import Caller
from tenants.errors import InvalidKeyError, NotAnAgencyKeyError
from voiceplatform.lib.api.problems import Refusal, declare

CALLER_ATTRIBUTE = "api_caller"
TENANT_NOT_FOUND = declare("tenant_not_found", "The header Vp-Tenant names no customer this key may act for.")
NO_KEY = "Send the header Authorization: Bearer vp_live_… or vp_test_…."


class KeyAuthentication(BaseAuthentication):
    """Reads what the middleware resolved. Raises what it ran into: AuthenticationFailed or Refusal."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        found: Caller | Exception | None = getattr(request, CALLER_ATTRIBUTE, None)
        if isinstance(found, Caller):
            return found, None
        if isinstance(found, InvalidKeyError):
            raise AuthenticationFailed(str(found))
        if isinstance(found, NotAnAgencyKeyError):
            raise Refusal(403, TENANT_NOT_FOUND, str(found))
        raise NotAuthenticated(NO_KEY)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class HasScope(BasePermission):
    """The view's `scopes` names one for each of its actions; an action without one is open to nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = (request.method or "").lower()
        if method == "options" or method not in view.action_map:
            # Nothing runs: the answer lists the methods there are.
            return True
        scopes: Mapping[str, str] = view.scopes
        scope = scopes.get(view.action)
        self.message = f"The API key lacks the scope {scope}." if scope else "No API key may do this."
        return scope is not None and caller_of(request).may(scope)


def caller_of(request: Request) -> Caller:
    caller = request.user
    if not isinstance(caller, Caller):
        raise NotAuthenticated(NO_KEY)
    return caller
