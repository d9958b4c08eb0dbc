"""Shapes of leads, consents, suppressions, calling windows and gates."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from calls.models import CallingWindow, Consent, Lead, Suppression
from calls.models.lead import validate_language
from calls.models.window import every_day
from calls.services.gates import GATES
from tenants.models.tenant import validate_timezone
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, StrictSerializer
from voiceplatform.lib.countries import validate_country
from voiceplatform.lib.phone import LONGEST_TEXT, InvalidPhoneError, to_e164

MOST_AT_ONCE = 1000


class PhoneField(serializers.CharField):
    """A number with its country code in any notation; it becomes E.164."""

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {"max_length": LONGEST_TEXT, "help_text": "With country code, e.g. +12125550123."}
        super().__init__(**defaults | options)

    def to_internal_value(self, data: Any) -> str:
        try:
            return to_e164(super().to_internal_value(data))
        except InvalidPhoneError as error:
            raise serializers.ValidationError(str(error), "invalid_number") from error


class LeadSerializer(StrictSerializer):
    id = PublicIdField(Lead.public_prefix, source="pk", read_only=True)
    phone = PhoneField()
    name = serializers.CharField(max_length=200, default="", allow_blank=True)
    email = serializers.EmailField(max_length=254, default="", allow_blank=True)
    timezone = serializers.CharField(
        max_length=64,
        default="",
        allow_blank=True,
        validators=[validate_timezone],
        help_text="Where the person is, e.g. America/Chicago; empty: every zone the number may ring in counts.",
    )
    language = serializers.CharField(
        max_length=35, default="", allow_blank=True, validators=[validate_language], help_text="E.g. en, de or pt-BR."
    )
    metadata = MetadataField(default=dict, help_text="Up to 50 short texts of your own. A change replaces all of them.")
    created_at = serializers.DateTimeField(read_only=True)


class ConsentSerializer(StrictSerializer):
    id = PublicIdField(Consent.public_prefix, source="pk", read_only=True)
    lead = PublicIdField(Lead.public_prefix, source="lead_id", read_only=True)
    kind = serializers.ChoiceField(choices=Consent.Kind.choices, help_text="What was agreed to.")
    basis = serializers.CharField(max_length=1000, help_text="How, in words an auditor understands.")
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=120, default="", allow_blank=True, help_text="Where the proof is."
    )
    given_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)


class WithdrawalSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=Consent.Kind.choices, help_text="No consent of this kind counts any more.")
    reason = serializers.CharField(max_length=500, default="", allow_blank=True, help_text="Kept in the audit.")


class SuppressionSerializer(StrictSerializer):
    id = PublicIdField(Suppression.public_prefix, source="pk", read_only=True)
    phone = PhoneField()
    reason = serializers.CharField(max_length=500, default="", allow_blank=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=Suppression.Source.choices, default=Suppression.Source.CUSTOMER, help_text="How it came about."
    )
    expires_at = serializers.DateTimeField(default=None, allow_null=True, help_text="Null: it never ends by itself.")
    active = serializers.SerializerMethodField(help_text="False once it was lifted or has expired.")
    created_at = serializers.DateTimeField(read_only=True)
    lifted_at = serializers.DateTimeField(read_only=True, allow_null=True)
    lift_reason = serializers.CharField(read_only=True)

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This moment has passed.")
        return value

    def get_active(self, row: Suppression) -> bool:
        return row.is_in_force(timezone.now())


class SuppressionsSerializer(StrictSerializer):
    suppressions = serializers.ListField(child=serializers.DictField(), min_length=1, max_length=MOST_AT_ONCE)


class SuppressionsRequestSerializer(StrictSerializer):
    """What SuppressionsSerializer takes, for the documentation: each item is checked by itself."""

    suppressions = SuppressionSerializer(many=True, help_text=f"1 to {MOST_AT_ONCE}.")


class BulkResultSerializer(StrictSerializer):
    index = serializers.IntegerField(help_text="Its place in the request, from 0.")
    status = serializers.ChoiceField(choices=["created", "unchanged", "refused"])
    id = serializers.CharField(allow_null=True, help_text="The suppression that holds now: sup_….")
    phone = serializers.CharField(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Why it was refused.")


class BulkResultsSerializer(StrictSerializer):
    object = serializers.CharField()
    data = BulkResultSerializer(many=True)  # type: ignore[assignment]


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=500, help_text="Why; kept with it and in the audit.")


class CallingWindowSerializer(StrictSerializer):
    id = PublicIdField(CallingWindow.public_prefix, source="pk", read_only=True)
    country = serializers.CharField(
        max_length=2,
        default="",
        allow_blank=True,
        validators=[validate_country],
        help_text="ISO code, e.g. DE; empty: for every country that has no window of its own.",
    )
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7),
        min_length=1,
        max_length=7,
        default=every_day,
        help_text="1 is Monday, 7 is Sunday.",
    )
    starts_at = serializers.TimeField(help_text="By the clock where the person is.")
    ends_at = serializers.TimeField(help_text="The first moment at which no call is placed any more.")
    on_holidays = serializers.BooleanField(
        default=False, help_text="Also on public holidays of the country the number belongs to."
    )
    created_at = serializers.DateTimeField(read_only=True)


class GateQuestionSerializer(StrictSerializer):
    to = serializers.CharField(max_length=LONGEST_TEXT, help_text="The number, with country code.")
    requires_consent = serializers.BooleanField(default=False, help_text="Whether the call needs the person's consent.")


class GateVerdictSerializer(StrictSerializer):
    allowed = serializers.BooleanField()
    to = serializers.CharField(help_text="The number as E.164, if it is one.")
    code = serializers.ChoiceField(choices=list(GATES), allow_null=True, help_text="Which gate refused; null if none did.")
    detail = serializers.CharField(allow_null=True, help_text="Why, for people.")
    retry_at = serializers.DateTimeField(allow_null=True, help_text="From when on it would pass, if that is known.")
