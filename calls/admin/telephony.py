"""What the pages of trunks and numbers share: refusals of services in the form, states that say what to do next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from calls.errors import CallsError, NameTakenError, NumberTakenError
from calls.models import PhoneNumber, SipTrunk
from tenants.admin.base import ConsoleAdmin
from tenants.admin.forms import ReasonForm
from tenants.display import badge
from tenants.staff import staff_user

_REFUSED = "refused_by_service"
_FIELDS: Mapping[type[CallsError], str] = {NameTakenError: "name", NumberTakenError: "phone"}


class ServiceForm(forms.ModelForm):
    """Checks what a field can tell; the rest is for the service that saves, whose refusal it shows."""

    refused: ClassVar[Mapping[str, str]] = {}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, message in self.refused.items():
            self.add_error(name if name in self.fields else None, message)
        return cleaned


class ServiceAdmin(ConsoleAdmin):
    """Rows are written by services, and the form is shown again with what one refuses; actions ask why."""

    form = ServiceForm
    actions = None

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refused = getattr(request, _REFUSED, {})
        return form

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (CallsError, ValidationError) as refused:
            setattr(request, _REFUSED, told(refused))
            return super().changeform_view(request, object_id, form_url, extra_context)

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """They are taken out of use, with a reason, and stay as history."""
        return False

    def deed(self, permission: str, do: Callable[..., object], *, done: str) -> Callable[..., HttpResponseBase]:
        """A view that does one thing to a row for those who may and say why; `do` takes row, actor and reason."""

        def view(request: HttpRequest, object_id: str) -> HttpResponseBase:
            row = self.row_or_404(request, object_id)
            if not (self.has_view_permission(request, row) and request.user.has_perm(permission)):
                raise PermissionDenied
            form = ReasonForm(request.POST)
            if not form.is_valid():
                messages.error(request, "Nothing was done: say why, it is kept in the audit.")
                return redirect(self.row_url("change", row))
            try:
                do(row, actor=staff_user(request), reason=form.cleaned_data["reason"])
            except (CallsError, ValidationError) as refused:
                messages.error(request, " ".join(told(refused).values()))
            else:
                messages.success(request, done)
            return redirect(self.row_url("change", row))

        checked: Callable[..., HttpResponseBase] = require_POST(view)
        return checked


def told(refused: CallsError | ValidationError) -> dict[str, str]:
    """A message for each field at fault."""
    if isinstance(refused, ValidationError):
        if hasattr(refused, "error_dict"):
            return {name: " ".join(texts) for name, texts in refused.message_dict.items()}
        return {"": " ".join(refused.messages)}
    return {_FIELDS.get(type(refused), ""): str(refused)}


@dataclass(frozen=True, slots=True)
class State:
    """`cause` and `next_step` are sentences; empty where there is nothing to do."""

    text: str
    tone: str
    cause: str = ""
    next_step: str = ""

    @property
    def badge(self) -> SafeString:
        return badge(self.text, self.tone, title=f"{self.cause} {self.next_step}".strip())


def trunk_state(trunk: SipTrunk) -> State:
    if trunk.retired_at:
        return State("retired", "neutral", "It is out of use; its calls stay.")
    if trunk.stopped_at:
        return State("stopped", "danger", f"It places no calls: {trunk.stopped_reason}", "Resume it when the cause is gone.")
    return _mirrored(trunk)


def number_state(number: PhoneNumber) -> State:
    if number.released_at:
        return State("released", "neutral", "It routes nowhere; its calls stay.", "It can be added again.")
    state = _mirrored(number)
    if state.tone == "success" and number.agent is None:
        return State("nobody answers", "warning", "Callers hear that nobody is available.", "Choose an agent.")
    if state.tone == "success" and number.agent and (number.agent.archived_at or number.agent.published_version_id is None):
        cause = f"{number.agent} is archived or has no published version, so callers hear that nobody is available."
        return State("nobody answers", "warning", cause, "Publish it, or choose another agent.")
    return state


def _mirrored(row: SipTrunk | PhoneNumber) -> State:
    if row.sync_error:
        cause = f"The LiveKit server does not have it as it is here: {row.sync_error}"
        return State("not on the server", "danger", cause, "Mend that, here or at the server; it is tried again by itself.")
    if row.drift:
        cause = f"The LiveKit server had something else when it was last compared: {row.drift}"
        return State("changed elsewhere", "warning", cause, "Change it here only, and save it to have it written again.")
    if row.synced_at is None:
        cause = "The LiveKit server does not have it yet; that takes seconds."
        return State("on its way", "info", cause, "If it stays so, see that the LiveKit server and the Celery worker run.")
    return State("ready", "success")
