"""Forms of the agent page that no schema draws."""

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from agents.models import Agent


class NewAgentForm(forms.Form):
    name = forms.CharField(
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text=Agent._meta.get_field("name").help_text,
    )
    description = forms.CharField(
        max_length=300,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=Agent._meta.get_field("description").help_text,
    )


class NoteForm(forms.Form):
    """What changed, kept with the draft."""

    note = forms.CharField(
        max_length=300,
        required=False,
        label="What changed",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "E.g. new opening hours"}),
    )
