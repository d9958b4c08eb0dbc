"""Choosing the tenant whose rows the console shows."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from tenants.models import Tenant
from tenants.staff import StaffScope, staff_scope
from voiceplatform.middleware import STAFF_TENANT_KEY

ALL = "all"
SHOWN = 30


@require_http_methods(["GET", "POST"])
def tenant_switcher(request: HttpRequest) -> HttpResponse:
    """GET lists the tenants this person may choose (`q` narrows), POST chooses one or `all`."""
    scope = staff_scope(request)
    if scope is None:
        raise Http404
    if request.method == "POST":
        return _choose(request, scope)
    query = request.GET.get("q", "").strip()
    found = list(scope.choices().filter(name__icontains=query)[: SHOWN + 1])
    context = {"tenants": found[:SHOWN], "more": len(found) > SHOWN, "scope": scope, "next": request.GET.get("next", "")}
    return render(request, "admin/console/tenant_choices.html", context)


def _choose(request: HttpRequest, scope: StaffScope) -> HttpResponse:
    wanted = request.POST.get("tenant", "")
    if wanted != ALL:
        request.session[STAFF_TENANT_KEY] = str(_allowed(scope, wanted).pk)
    elif scope.sees_all:
        request.session.pop(STAFF_TENANT_KEY, None)
    else:
        raise Http404
    return redirect(_landing(request))


def _allowed(scope: StaffScope, wanted: str) -> Tenant:
    try:
        tenant = scope.choices().filter(pk=UUID(wanted)).first()
    except ValueError:
        tenant = None
    if tenant is None:
        raise Http404
    return tenant


def _landing(request: HttpRequest) -> str:
    """The list the person was on: a page of one row may belong to the tenant they have just left."""
    target = request.POST.get("next", "").split("?")[0]
    home = reverse("admin:index")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return home
    try:
        name = resolve(target).url_name or ""
        if name in ("index", "feature-matrix") or name.endswith("_changelist"):
            return target
        return reverse(f"admin:{'_'.join(name.split('_')[:2])}_changelist")
    except (Resolver404, NoReverseMatch):
        return home
