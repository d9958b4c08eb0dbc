"""The page of an account's numbers at the carrier: those it has, those it could have, and what is done with them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from calls.errors import CallsError
from calls.models import CarrierAccount, TrunkGrant
from calls.services import carrier_numbers
from integrations.vonage import CURRENCY, MATCHES, TYPES, VonageError
from tenants.admin.base import ConsoleAdmin
from tenants.admin.forms import ReasonForm
from tenants.staff import staff_user
from voiceplatform.lib.countries import validate_country

PAGE_SIZE: Final = 25
_PLACES: Final = {"starts": "At the beginning", "contains": "Anywhere", "ends": "At the end"}
_TROUBLE: Final = (VonageError, CallsError)


class SearchForm(forms.Form):
    country = forms.CharField(
        min_length=2,
        max_length=2,
        initial="US",
        widget=UnfoldAdminTextInputWidget,
        help_text="Two letters, e.g. US.",
    )
    pattern = forms.RegexField(
        r"^[0-9]{1,15}\Z",
        label="Digits",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
        help_text="With the country code, e.g. 1212.",
        error_messages={"invalid": "Digits only."},
    )
    match = forms.ChoiceField(
        label="Where",
        choices=[(name, _PLACES[name]) for name in MATCHES],
        widget=UnfoldAdminSelectWidget,
    )
    type = forms.ChoiceField(
        choices=[("", "Any"), *((name, name.replace("_", " ")) for name in TYPES)],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    def clean_country(self) -> str:
        country: str = self.cleaned_data["country"].upper()
        validate_country(country)
        return country


def numbers_page(page: ConsoleAdmin, request: HttpRequest, account: CarrierAccount) -> HttpResponseBase:
    """What the carrier says now. Where it does not answer, the page says why."""
    number = int(given) if (given := request.GET.get("page", "1")).isdecimal() and len(given) < 5 else 1
    searched = "country" in request.GET
    form = SearchForm(request.GET if searched else None)
    shown: dict[str, Any] = {"form": form, "number": max(1, number), "currency": CURRENCY, "searched": searched}
    try:
        count, shown["owned"] = carrier_numbers.list_owned(account=account, page=shown["number"], size=PAGE_SIZE)
        shown |= {"count": count, "has_more": shown["number"] * PAGE_SIZE < count}
        if searched and form.is_valid():
            wanted = {name: value for name, value in form.cleaned_data.items() if value}
            shown["offered"] = carrier_numbers.search(account=account, **wanted, features=["voice"], size=PAGE_SIZE).numbers
    except _TROUBLE as error:
        shown["trouble"] = str(error)
    shown["grants"] = [(str(grant.pk), str(grant.trunk)) for grant in _grants()]
    shown["may_act"] = page.has_change_permission(request, account)
    title = f"Numbers of {account}"
    return page.page(request, "admin/calls/carrieraccount/numbers.html", row=account, title=title, account=account, **shown)


def act(request: HttpRequest, account: CarrierAccount, *, phone: str, name: str) -> None:
    """Do one thing to a number for a member of staff who says why; a message says what became of it."""
    done = _acts(request).get(name)
    if done is None:
        raise Http404("There is no such action.")
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was done: say why, it is kept in the audit.")
        return
    try:
        outcome = done(account=account, phone=phone, actor=staff_user(request), reason=form.cleaned_data["reason"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except _TROUBLE as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Done: {' '.join(outcome.steps)}")


def _acts(request: HttpRequest) -> Mapping[str, Callable[..., carrier_numbers.Outcome]]:
    return {
        "buy": partial(_buy, request),
        "link": carrier_numbers.link,
        "unlink": carrier_numbers.unlink,
        "release": partial(carrier_numbers.release, also_here=True),
    }


def _buy(request: HttpRequest, **options: Any) -> carrier_numbers.Outcome:
    grant = next((grant for grant in _grants() if str(grant.pk) == request.POST.get("grant")), None)
    if grant is None:
        raise ValidationError("Choose the trunk that the number runs over.")
    return carrier_numbers.buy(grant=grant, country=request.GET.get("country", ""), **options)


def _grants() -> list[TrunkGrant]:
    return list(TrunkGrant.objects.filter(revoked_at=None).select_related("trunk").order_by("id")[:100])
