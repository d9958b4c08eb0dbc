"""The page from which staff have an agent call somebody: the form, and every refusal at the field that mends it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from agents.errors import AgentsError, VariableError
from agents.models import Agent
from calls.admin.hosts import taking
from calls.errors import CallsError, GateRefusedError, InvalidCallError, NoLineError, TelephonyNotConfiguredError
from calls.models import Call, Lead, PhoneNumber
from calls.services import gates, lines
from calls.services.outbound import place_outbound
from calls.telephony.client import is_configured
from tenants.errors import TenantsError
from tenants.staff import staff_user

if TYPE_CHECKING:
    from voiceplatform.admin.agent_page import AgentPageAdmin

OVERRIDE = "calls.override_gates"
_SAY_WHY: Final = "If it has to be placed all the same, say why below."
_ASK: Final = "Somebody with the permission to override gates can place it all the same."
_GATE_FIXES: Final[Mapping[str, str]] = {
    gates.SUPPRESSED: "Lift it under Do not call, if the person wants to be called again.",
    gates.OPEN_CALL: "Wait until it has ended, or hang it up on its page.",
}
_LINE_FIXES: Final[Mapping[str, str]] = {
    lines.STOPPED: "Mend that, then resume it under Trunks, or choose a number of another trunk.",
    lines.NOT_READY: "See its page under Trunks; or choose a number of another trunk.",
    lines.NOT_GRANTED: "Have the agency grant it again, or choose a number of another trunk.",
}


class NumberChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        stopped = ", stopped" if obj.grant.trunk.stopped_at else ""
        return f"{obj.phone} {obj.label}".strip() + f" ({obj.grant.trunk.name}{stopped})"


class CallForm(forms.Form):
    """Whom to call, from which number; one more field for each variable, and a reason for who may override gates."""

    phone = forms.CharField(
        label="Number to call",
        max_length=40,
        help_text="With country code, e.g. +1 512 555 0143.",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "tel", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, variables: list[dict[str, Any]], may_override: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.variables, self.may_override = [variable["name"] for variable in variables], may_override
        shown = PhoneNumber.objects.filter(released_at=None, is_caller_id=True, grant__revoked_at=None)
        self.fields["from_number"] = NumberChoice(
            shown.select_related("grant__tenant", "grant__trunk").order_by("phone"),
            label="Number they see",
            required=False,
            empty_label="Automatic: the agent's own, else the newest",
            widget=UnfoldAdminSelectWidget,
        )
        for variable in variables:
            self.fields[f"variable-{variable['name']}"] = forms.CharField(
                label=variable["name"],
                required=variable["required"] and not variable["default"],
                max_length=500,
                initial=variable["default"],
                help_text=f"E.g. {variable['example']}" if variable["example"] else "",
                widget=UnfoldAdminTextInputWidget,
            )
        if may_override:
            self.fields["override_gates"] = forms.CharField(
                label="Why it is placed although a gate refuses it",
                required=False,
                max_length=500,
                help_text="Only where the number is on the do-not-call list, was called too often, "
                "or is outside its calling window; kept in the audit.",
                widget=UnfoldAdminTextInputWidget,
            )

    def call_arguments(self) -> dict[str, Any]:
        asked = self.cleaned_data
        given = {name: value for name in self.variables if (value := asked.get(f"variable-{name}"))}
        why = asked.get("override_gates", "")
        return {"to": asked["phone"], "from_number": asked["from_number"], "override_gates": why, "variables": given}

    def refuse(self, refused: Exception) -> None:
        for name, message in _told(refused, may_override=self.may_override).items():
            self.add_error(name if name in self.fields else None, message)


def call_page(admin: "AgentPageAdmin", request: HttpRequest, agent: Agent) -> HttpResponseBase:
    """The form; when it is sent and nothing refuses the call, its page."""
    lead = _lead_of(request.GET.get("lead", "")) if request.user.has_perm("calls.view_lead") else None
    version = agent.published_version
    variables = version.settings.get("variables", []) if version else []
    form = CallForm(
        request.POST or None,
        variables=variables,
        may_override=request.user.has_perm(OVERRIDE),
        initial={"phone": lead.phone} if lead else None,
    )
    if version and form.is_valid() and (call := _place(request, agent, form)) is not None:
        return redirect(reverse("admin:calls_call_change", args=[call.pk]))
    hosts = taking().filter(transport=Call.Transport.LIVEKIT)
    shown: dict[str, Any] = {"form": form, "lead": lead, "hosts_alive": hosts.exists(), "has_livekit": is_configured()}
    return admin.agent_page(request, agent, tab="call", **shown)


def _place(request: HttpRequest, agent: Agent, form: CallForm) -> Call | None:
    try:
        return place_outbound(agent=agent, kind=Call.Kind.OUTBOUND, actor=staff_user(request), **form.call_arguments())
    except (AgentsError, CallsError, TenantsError) as refused:
        form.refuse(refused)
    return None


def _told(refused: Exception, *, may_override: bool) -> dict[str, str]:
    """What to say at which field; "" is the form as a whole."""
    match refused:
        case GateRefusedError():
            fixes = [_GATE_FIXES.get(refused.code, "")]
            fixes += [_SAY_WHY if may_override else _ASK] if refused.code in gates.OVERRIDABLE else []
            return {"phone": " ".join([str(refused), *filter(None, fixes)])}
        case NoLineError():
            return {"from_number": f"{refused} {_LINE_FIXES.get(refused.code, '')}".strip()}
        case TelephonyNotConfiguredError():
            return {"from_number": str(refused)}
        case VariableError():
            return {f"variable-{refused.name}": str(refused)}
        case InvalidCallError():
            return {name.removesuffix("_id"): message for name, message in refused.errors.items()}
    return {"": str(refused)}


def _lead_of(lead_id: str) -> Lead | None:
    """Whom the page was opened for, if anybody. Raises Http404 for a lead that is not there."""
    if not lead_id:
        return None
    try:
        found = Lead.objects.filter(pk=Lead._meta.pk.to_python(lead_id)).first()
    except forms.ValidationError:
        found = None
    if found is None:
        raise Http404("There is no such lead.")
    lead: Lead = found
    return lead
