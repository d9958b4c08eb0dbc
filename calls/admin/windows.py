"""The hours in which people may be called, where they are."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from calls.models import CallingWindow
from calls.models.window import DAY_NAMES
from calls.services.people import change_window, create_window, delete_window
from tenants.admin.base import ConsoleAdmin
from tenants.staff import staff_user
from voiceplatform.lib.countries import countries


class WindowForm(forms.ModelForm):
    weekdays = forms.TypedMultipleChoiceField(
        choices=list(enumerate(DAY_NAMES, start=1)), coerce=int, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )


@admin.register(CallingWindow)
class CallingWindowAdmin(ConsoleAdmin):
    form = WindowForm
    list_display = ["where", "days", "hours", "tenant"]
    list_select_related = ["tenant"]
    ordering = ["country", "starts_at", "id"]
    fields = ["country", "weekdays", "starts_at", "ends_at", "on_holidays"]
    actions = None
    empty_title = "No calling windows of tenants' own"
    empty_hint = (
        "Without any, people are called between 08:00 and 21:00 where they are, every day but public holidays. "
        "A window without a country is for every country that has none of its own."
    )

    @admin.display(description="country", ordering="country")
    def where(self, window: CallingWindow) -> str:
        return countries().get(window.country, window.country) or "Every other country"

    @admin.display(description="days")
    def days(self, window: CallingWindow) -> str:
        return window.days_text

    @admin.display(description="hours", ordering="starts_at")
    def hours(self, window: CallingWindow) -> str:
        return f"{window.starts_at:%H:%M}–{window.ends_at:%H:%M}{', also on holidays' if window.on_holidays else ''}"

    def save_model(self, request: HttpRequest, obj: CallingWindow, form: Any, change: bool) -> None:
        if change:
            change_window(window=obj, fields=form.changed_data, actor=staff_user(request))
        else:
            create_window(window=obj, actor=staff_user(request))

    def delete_model(self, request: HttpRequest, obj: CallingWindow) -> None:
        delete_window(window=obj, actor=staff_user(request))
