"""What staff do in a running call: say, whisper, mute, and come in themselves. Each has a permission of its own and a reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse

from calls.errors import CallsError
from calls.models import Call, CallCommand, Supervision
from calls.services.actions import KINDS, LONGEST_TEXT, Wanted, request_action
from calls.services.supervision import admit, may_be_supervised
from tenants.admin.forms import ReasonForm
from tenants.staff import staff_user

if TYPE_CHECKING:
    from calls.admin.calls import CallAdmin

Kind: TypeAlias = CallCommand.Kind
Mode: TypeAlias = Supervision.Mode
CLIENT: Final = "vendor/livekit-client.umd.js"
ACTIONS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Button:
    """`label` and `explain` are for people; `asks_text` labels the field for words, if there is one."""

    name: str
    permission: str
    label: str
    explain: str
    kind: Kind | None = None
    mode: Mode | None = None
    asks_text: str = ""


BUTTONS: Final = {
    button.name: button
    for button in (
        Button("say", "calls.say_call", "Say", "The agent stops and says this to the caller at once.", Kind.SAY, None, "Words"),
        Button(
            "whisper",
            "calls.instruct_call",
            "Whisper",
            "The agent goes by this for the rest of the call. The caller does not hear it.",
            Kind.INSTRUCT,
            None,
            "Instruction",
        ),
        Button("mute", "calls.mute_call", "Mute agent", "The agent listens, and neither speaks nor acts.", Kind.MUTE_AGENT),
        Button("unmute", "calls.mute_call", "Unmute agent", "The agent answers again.", Kind.UNMUTE_AGENT),
        Button("listen", "calls.listen_call", "Listen", "You hear the call; nobody sees or hears you.", None, Mode.LISTEN),
        Button(
            "take_over",
            "calls.take_over_call",
            "Take over",
            "The agent falls silent and the caller hears your microphone until you leave.",
            None,
            Mode.TAKE_OVER,
        ),
    )
}


class SteerForm(ReasonForm):
    text = forms.CharField(max_length=LONGEST_TEXT, required=False)


def steering_context(call: Call, request: HttpRequest) -> dict[str, Any]:
    """The buttons this person has in this call."""
    if call.status != Call.Status.IN_PROGRESS:
        return {"buttons": []}
    enters = may_be_supervised(call)
    return {
        "buttons": [
            {"button": button, "url": reverse("admin:calls_call_steer", args=[call.pk, button.name])}
            for button in BUTTONS.values()
            if request.user.has_perm(button.permission) and (call.kind in KINDS[button.kind] if button.kind else enters)
        ]
    }


def present_context(call: Call) -> dict[str, Any]:
    """What was asked for lately, and who is in the call's room."""
    actions = CallCommand.objects.filter(call=call).exclude(kind=Kind.MESSAGE).order_by("-created_at", "-id")
    supervisors = Supervision.objects.filter(call=call, left_at=None).exclude(joined_at=None).select_related("actor")
    return {"actions": list(actions[:ACTIONS_SHOWN]), "supervisors": list(supervisors)}


def steer(admin: "CallAdmin", request: HttpRequest, call: Call, name: str) -> HttpResponseBase:
    """Do what a button says. Raises PermissionDenied."""
    button = BUTTONS.get(name)
    if button is None or not request.user.has_perm(button.permission):
        raise PermissionDenied
    back = redirect(admin.row_url("change", call))
    form = SteerForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was done: say why, it is kept in the audit.")
        return back
    reason, actor = form.cleaned_data["reason"], staff_user(request)
    try:
        if button.mode:
            return _room_page(request, call, button, admit(call, mode=button.mode, actor=actor, reason=reason))
        if button.kind:
            request_action(call, Wanted(kind=button.kind, text=form.cleaned_data["text"]), actor=actor, reason=reason)
            messages.success(request, f"{button.label}: the agent is told. What became of it is shown beside the conversation.")
    except CallsError as refused:
        messages.error(request, str(refused))
    return back


def client_url() -> str:
    """Where browsers get LiveKit's program; empty while it has not been fetched."""
    if finders.find(CLIENT) is None:
        return ""
    try:
        return static(CLIENT)
    except ValueError:  # fetched, but not collected yet
        return ""


def _room_page(request: HttpRequest, call: Call, button: Button, admission: Any) -> HttpResponse:
    """A page of its own, whose policy lets it talk to the LiveKit server alone."""
    entry = {"url": admission.url, "token": admission.token, "speaks": admission.mode == Mode.TAKE_OVER}
    context: Mapping[str, Any] = {"call": call, "button": button, "entry": entry, "client_url": client_url()}
    response = render(request, "admin/calls/call/room.html", context)
    response["Content-Security-Policy"] = content_policy(admission.url)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def content_policy(url: str, *, and_here: bool = False) -> str:
    """Of a page that talks to the LiveKit server at `url`, and if need be to this console."""
    parts = urlsplit(url)
    server = f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}" if url else "'none'"
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "media-src": "'self' blob: mediastream:",
        "connect-src": f"'self' {server if url else ''}".strip() if and_here else server,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())
