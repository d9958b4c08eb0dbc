"""Talking to an agent with the browser: a page of its own, whose policy lets it talk to this console and the LiveKit server."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from agents.errors import AgentsError, InvalidSettingsError
from agents.models import Agent, AgentVersion
from calls.admin import steering
from calls.admin.hosts import taking
from calls.endings import why_it_ended
from calls.errors import CallEndedError, CallsError
from calls.models import Call, Turn
from calls.services.commands import request_hang_up
from calls.services.web_calls import let_in, place_web
from calls.telephony.client import is_configured
from tenants.errors import TenantsError
from tenants.staff import staff_user
from voiceplatform.admin.agent_choices import choices, examples

if TYPE_CHECKING:
    from voiceplatform.admin.agent_page import AgentPageAdmin

TALK: Final = "calls.talk_call"
TURNS_SHOWN: Final = 200


def talk_page(admin: "AgentPageAdmin", request: HttpRequest, agent: Agent) -> HttpResponse:
    """Where the microphone is tried and the call begins; what is missing for it is said instead."""
    versions, client_url = choices(agent), steering.client_url()
    hosts = taking().filter(transport=Call.Transport.LIVEKIT)
    is_ready = bool(versions and client_url and is_configured() and agent.archived_at is None)
    context: dict[str, Any] = {
        "agent": agent,
        "versions": versions,
        "client_url": client_url,
        "has_livekit": is_configured(),
        "hosts_alive": hosts.exists(),
        "is_ready": is_ready,
        "agent_url": admin.row_url("change", agent),
        "urls": {name: admin.row_url(f"talk_{name}", agent) for name in ("start", "said", "leave")},
    }
    response = render(request, "admin/agents/agent/talk.html", context)
    response["Content-Security-Policy"] = steering.content_policy(settings.LIVEKIT_PUBLIC_URL, and_here=True)
    response["Permissions-Policy"] = "microphone=(self)"
    response["Referrer-Policy"] = "same-origin"
    return response


def start(request: HttpRequest, agent: Agent) -> JsonResponse:
    """Place the call and let this browser in; the token is in this answer alone."""
    versions = {str(version.pk): version for version in choices(agent)}
    chosen = versions.get(request.POST.get("version", ""))
    if chosen is None:
        return _told({"problem": "Choose a version first."}, status=400)
    try:
        call = _place(request, agent, chosen)
        entry = let_in(call)
    except InvalidSettingsError as refused:
        named = "; ".join(f"{field}: {message}" for field, message in refused.errors.items())
        return _told({"problem": f"This version cannot run yet. Correct it under Settings: {named}"}, status=409)
    except (AgentsError, CallsError, TenantsError) as refused:
        return _told({"problem": str(refused)}, status=409)
    return _told({"call": str(call.pk), "url": entry.url, "token": entry.token})


def said(call: Call) -> JsonResponse:
    """What was said so far, and how long each answer took to be heard."""
    turns = Turn.objects.filter(call=call).order_by("sequence")[:TURNS_SHOWN]
    shown = [
        {"speaker": turn.speaker, "text": turn.text, "gap_ms": turn.metrics.get("response_gap"), "interrupted": turn.interrupted}
        for turn in turns
    ]
    return _told({"status": call.status, "ended": why_it_ended(call), "turns": shown})


def leave(request: HttpRequest, call: Call) -> JsonResponse:
    """End a call that this browser could not join, or does not want any more."""
    with suppress(CallEndedError):
        request_hang_up(call, actor=staff_user(request), reason="Hung up in the browser")
    return _told({})


def _place(request: HttpRequest, agent: Agent, version: AgentVersion) -> Call:
    asked: dict[str, Any] = {"version": version, "variables": examples(version), "livemode": False}
    return place_web(agent=agent, kind=Call.Kind.WEB, actor=staff_user(request), **asked)


def _told(answer: dict[str, Any], *, status: int = 200) -> JsonResponse:
    return JsonResponse(answer, status=status, headers={"Cache-Control": "no-store"})
