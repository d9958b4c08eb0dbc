"""Accounts with carriers: their credentials, whether they work, and the way to the numbers there."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminPasswordWidget

from calls.admin import carrier_numbers
from calls.carriers import PRESETS
from calls.errors import InUseError
from calls.models import CarrierAccount
from calls.services.trunks import change_account, create_account, delete_account
from tenants.admin.base import ConsoleAdmin
from tenants.display import EMPTY, badge, moment
from tenants.staff import staff_user


class CarrierAccountForm(forms.ModelForm):
    class Meta:
        labels = {"api_key": "API key"}

    new_secret = forms.CharField(
        label="API secret",
        required=False,
        max_length=500,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Shown to nobody. Empty: what is stored stays.",
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if CarrierAccount.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is another one with this name.")
        return name


@admin.register(CarrierAccount)
class CarrierAccountAdmin(ConsoleAdmin):
    form = CarrierAccountForm
    list_display = ["name", "carrier", "state", "checked", "tenant"]
    list_filter = [("carrier", ChoicesDropdownFilter)]
    list_select_related = ["tenant"]
    ordering = ["-id"]
    search_fields = ["name", "api_key"]
    search_help_text = "Name or API key"
    readonly_fields = ["state", "checked", "check_error"]
    actions = None
    change_form_outer_before_template = "admin/calls/carrieraccount/head.html"
    empty_title = "No carrier accounts yet"
    empty_hint = (
        "With an account's API key and secret, numbers can be searched, bought and led here without the carrier's console."
    )

    def get_fields(self, request: HttpRequest, obj: CarrierAccount | None = None) -> Any:
        entered = ["name", "carrier", "api_key"]
        if self.has_change_permission(request, obj) if obj else self.has_add_permission(request):
            entered.append("new_secret")
        return [*entered, *self.readonly_fields] if obj else entered

    @admin.display(description="state")
    def state(self, account: CarrierAccount) -> SafeString:
        if account.check_error:
            return badge("does not work", "danger", title=account.check_error)
        return badge("works", "success") if account.checked_at else badge("not tried yet")

    @admin.display(description="last check", ordering="checked_at")
    def checked(self, account: CarrierAccount) -> str:
        return moment(account.checked_at, account.tenant.timezone) if account.checked_at else EMPTY

    def save_model(self, request: HttpRequest, obj: CarrierAccount, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in form.changed_data if name != "new_secret"}
        if secret := form.cleaned_data["new_secret"]:
            given["api_secret"] = secret
        if change:
            change_account(account=obj, actor=staff_user(request), **given)
        else:
            made = create_account(actor=staff_user(request), **given)
            obj.pk, obj._state.adding = made.pk, False

    def get_deleted_objects(self, objs: Any, _request: HttpRequest) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Trunks that are in use hold an account, which its service knows; what is kept of others lets it go."""
        return [str(account) for account in objs], {}, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except InUseError as error:
            messages.error(request, str(error))
            return redirect(self.list_url())

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        assert isinstance(obj, CarrierAccount)  # noqa: S101 - what this page is registered for
        delete_account(account=obj, actor=staff_user(request))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        managed = {"managed": [carrier for carrier, preset in PRESETS.items() if preset.sells_numbers]}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **managed})

    def get_urls(self) -> list[URLPattern]:
        act = self.row_path("numbers/<slug:digits>/<slug:name>/", require_POST(self.act_view), "number_act")
        return [act, self.row_path("numbers/", self.numbers_view, "numbers"), *super().get_urls()]

    def numbers_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return carrier_numbers.numbers_page(self, request, self._viewable(request, object_id))

    def act_view(self, request: HttpRequest, object_id: str, digits: str, name: str) -> HttpResponseBase:
        account = self._viewable(request, object_id)
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        carrier_numbers.act(request, account, phone=f"+{digits}", name=name)
        return redirect(self.row_url("numbers", account))

    def _viewable(self, request: HttpRequest, object_id: str) -> CarrierAccount:
        account: CarrierAccount = self.row_or_404(request, object_id)
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        return account
