"""Forms of the console: drawn from schemas with Unfold's widgets, and a reason for what cannot be undone lightly."""

from typing import Any

from django import forms
from pydantic import BaseModel
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from voiceplatform.lib.schema_fields import LinesField, OpenChoicesField, TextField
from voiceplatform.lib.schema_forms import SchemaForm, schema_form

WIDGETS: dict[type[forms.Field], type[forms.Widget]] = {
    forms.CharField: UnfoldAdminTextInputWidget,
    forms.IntegerField: UnfoldAdminIntegerFieldWidget,
    forms.FloatField: UnfoldAdminDecimalFieldWidget,
    forms.BooleanField: UnfoldBooleanSwitchWidget,
    forms.ChoiceField: UnfoldAdminSelectWidget,
    TextField: UnfoldAdminTextareaWidget,
    LinesField: UnfoldAdminTextareaWidget,
    OpenChoicesField: UnfoldAdminCheckboxSelectMultipleWidget,
}


def console_form(schema: type[BaseModel], **options: Any) -> type[SchemaForm]:
    """A form class for `schema` that looks like the rest of the console."""
    return schema_form(schema, widgets=WIDGETS, **options)


class ReasonForm(forms.Form):
    """Why somebody did it; kept in the audit."""

    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "E.g. the customer asked for it by phone"}),
        help_text="Kept in the audit.",
        error_messages={"required": "Say why; it is kept in the audit."},
    )
