"""Who works for a tenant. People are added by user name or e-mail, so that nobody browses other tenants' people."""

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from tenants.models import Membership, Tenant, User
from tenants.services.members import change_role, remove_member
from tenants.services.tenants import add_member
from tenants.staff import staff_user

if TYPE_CHECKING:
    from voiceplatform.admin.tenant_page import TenantAdmin


class NewMemberForm(forms.Form):
    person = forms.CharField(
        max_length=254, label="User name or e-mail", widget=UnfoldAdminTextInputWidget, help_text="Exactly as under People."
    )
    role = forms.ChoiceField(choices=Membership.Role, widget=UnfoldAdminSelectWidget, initial=Membership.Role.VIEWER)

    def clean_person(self) -> User:
        typed = self.cleaned_data["person"].strip()
        people = list(User.objects.filter(Q(username=typed) | Q(email__iexact=typed), is_active=True)[:2])
        if len(people) != 1:
            raise ValidationError(
                "Nobody signs in with that name or e-mail." if not people else "Several people have that e-mail."
            )
        return people[0]


def members_page(admin: "TenantAdmin", request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    members = list(Membership.objects.select_related("user").order_by("user__username")[:500])
    form = NewMemberForm(request.POST if request.method == "POST" and "person" in request.POST else None)
    if request.method == "POST":
        if not admin.has_change_permission(request, tenant):
            raise PermissionDenied
        if _change(request, tenant, form, members):
            return redirect(admin.row_url("members", tenant))
    return admin.tenant_page(request, tenant, tab="members", members=members, form=form, roles=Membership.Role.choices)


def _change(request: HttpRequest, tenant: Tenant, form: NewMemberForm, members: list[Membership]) -> bool:
    if "person" in request.POST:
        return form.is_valid() and _add(request, tenant, form)
    member = next((member for member in members if str(member.pk) == request.POST.get("member")), None)
    if member is None:
        messages.error(request, "That membership is gone; somebody else removed it.")
        return True
    try:
        messages.success(request, _apply(request, tenant, member))
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    return True


def _apply(request: HttpRequest, tenant: Tenant, member: Membership) -> str:
    if "remove" in request.POST:
        remove_member(member=member, actor=staff_user(request))
        return f"{member.user} no longer works for {tenant.name}."
    changed = change_role(member=member, role=request.POST.get("role", ""), actor=staff_user(request))
    return f"{member.user} is {changed.get_role_display()} of {tenant.name} now."


def _add(request: HttpRequest, tenant: Tenant, form: NewMemberForm) -> bool:
    try:
        add_member(user=form.cleaned_data["person"], role=form.cleaned_data["role"], actor=staff_user(request))
    except ValidationError as refused:
        form.add_error("person", refused.messages)
        return False
    messages.success(request, f"{form.cleaned_data['person']} works for {tenant.name} now.")
    return True
