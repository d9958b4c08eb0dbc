"""Ctrl+K: pages of the console, and rows of a short list of models, in the tenant in view."""

import time
from collections.abc import Iterator

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.dataclasses import SearchResult

from agents.models import Agent
from calls.models import Call
from tenants.staff import staff_scope
from voiceplatform.admin.navigation import GROUPS
from voiceplatform.lib.ids import InvalidIdError, from_public_id

PER_KIND = 8


def search(request: HttpRequest) -> HttpResponse:
    started = time.monotonic()
    query = request.GET.get("s", "").strip()[:100]
    if not query:
        return HttpResponse()
    found = [result for find in (_pages, _calls, _agents, _tenants) for result in find(request, query)]
    paginator = Paginator(found, 4 * PER_KIND)
    context = {
        "page_obj": paginator,
        "results": paginator.page(1),
        "page_counter": 0,
        "execution_time": time.monotonic() - started,
        "command_show_history": True,
    }
    template = "command_results" if "extended" in request.GET else "search_results"
    response = render(request, f"unfold/helpers/{template}.html", context)
    response["HX-Trigger"] = "search"
    return response


def _may_view(request: HttpRequest, permission: str) -> bool:
    allowed: bool = request.user.has_perm(permission)
    return allowed


def _pages(request: HttpRequest, query: str) -> Iterator[SearchResult]:
    for group, entries in GROUPS:
        for title, icon, url, permission in entries:
            if query.lower() in title.lower() and _may_view(request, permission):
                yield SearchResult(title=title, description=group, link=reverse(url), icon=icon)


def _calls(request: HttpRequest, query: str) -> Iterator[SearchResult]:
    if not _may_view(request, "calls.view_call"):
        return
    try:
        call_id = from_public_id(Call.public_prefix, query)
    except InvalidIdError:
        return
    for call in Call.objects.filter(pk=call_id).select_related("agent", "tenant"):
        link = reverse("admin:calls_call_change", args=[call.pk])
        yield SearchResult(title=call.public_id, description=f"Call · {call.agent} · {call.tenant}", link=link, icon="call")


def _agents(request: HttpRequest, query: str) -> Iterator[SearchResult]:
    if not _may_view(request, "agents.view_agent"):
        return
    for agent in Agent.objects.filter(name__icontains=query).select_related("tenant")[:PER_KIND]:
        link = reverse("admin:agents_agent_change", args=[agent.pk])
        yield SearchResult(title=agent.name, description=f"Agent · {agent.tenant}", link=link, icon="support_agent")


def _tenants(request: HttpRequest, query: str) -> Iterator[SearchResult]:
    scope = staff_scope(request)
    if scope is None or not _may_view(request, "tenants.view_tenant"):
        return
    in_view = scope.choices().filter(pk=scope.tenant.pk) if scope.tenant else scope.choices()
    for tenant in in_view.filter(Q(name__icontains=query) | Q(slug__icontains=query))[:PER_KIND]:
        link = reverse("admin:tenants_tenant_change", args=[tenant.pk])
        yield SearchResult(title=tenant.name, description=f"Tenant · {tenant.get_status_display()}", link=link, icon="apartment")
