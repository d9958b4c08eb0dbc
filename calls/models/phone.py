"""Telephone numbers in rows: always E.164, so that equal numbers are equal texts."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from voiceplatform.lib.phone import E164, LONGEST_TEXT, InvalidPhoneError, to_e164


class PhoneField(models.CharField):
    """Takes a number in any international notation; cleaning makes it E.164."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 16} | options)

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return super().clean(_normal(value) if value else value, model_instance)

    def formfield(self, **options: Any) -> forms.Field | None:
        # What people write has spaces and brackets, and is longer than what is kept.
        return super().formfield(**{"max_length": LONGEST_TEXT} | options)


def is_e164(*, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(name=name, condition=Q(phone__regex=E164))


def _normal(text: str) -> str:
    try:
        return to_e164(text)
    except InvalidPhoneError as error:
        raise ValidationError(str(error), code="invalid_number") from error
