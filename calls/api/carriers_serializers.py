"""Shapes of carrier accounts and of the numbers there."""

from typing import Any, Final

from rest_framework import serializers

from calls.api.numbers_serializers import TrunkField
from calls.api.people_serializers import PhoneField
from calls.carriers import Carrier
from calls.models import CarrierAccount, PhoneNumber, SipTrunk
from calls.services.carrier_numbers import Owned
from integrations.vonage import CURRENCY, FEATURES, MATCHES, TYPES
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, StrictSerializer
from voiceplatform.lib.countries import validate_country

MOST_AT_ONCE: Final = 50
_LAST_PAGE: Final = 1000


class CarrierAccountSerializer(StrictSerializer):
    id = PublicIdField(CarrierAccount.public_prefix, source="pk", read_only=True)
    name = serializers.CharField(max_length=120, help_text="E.g. Vonage, main account.")
    carrier = serializers.ChoiceField(choices=Carrier.choices)
    api_key = serializers.CharField(
        max_length=120, default="", allow_blank=True, help_text="The account's key or id, from the carrier's console."
    )
    api_secret = serializers.CharField(
        max_length=500, default=None, allow_null=True, write_only=True, help_text="Never shown again; null takes it away."
    )
    has_api_secret = serializers.SerializerMethodField()
    metadata = MetadataField(default=dict, help_text="Up to 50 short texts of your own. A change replaces all of them.")
    checked_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When the carrier last answered us.")
    check_error = serializers.CharField(read_only=True, help_text="Why the account cannot be used, as seen the last time.")
    created_at = serializers.DateTimeField(read_only=True)

    def get_has_api_secret(self, row: CarrierAccount) -> bool:
        return row.api_secret is not None


class PatternSerializer(StrictSerializer):
    pattern = serializers.RegexField(
        r"^[0-9]{1,15}\Z", required=False, help_text="Digits the number has, with its country code and without +."
    )
    page = serializers.IntegerField(default=1, min_value=1, max_value=_LAST_PAGE, help_text="From 1.")
    limit = serializers.IntegerField(default=20, min_value=1, max_value=MOST_AT_ONCE, help_text="Numbers in a page.")


class AvailableQuerySerializer(PatternSerializer):
    country = serializers.CharField(
        min_length=2, max_length=2, default="US", validators=[validate_country], help_text="ISO code, e.g. US."
    )
    type = serializers.ChoiceField(choices=list(TYPES), required=False)
    match = serializers.ChoiceField(choices=list(MATCHES), default="starts", help_text="Where the pattern is.")
    feature = serializers.ChoiceField(choices=list(FEATURES), default="voice", help_text="What the number can do.")


class AtCarrierSerializer(StrictSerializer):
    phone = serializers.CharField()
    country = serializers.CharField(help_text="ISO code.")
    type = serializers.CharField(help_text=f"One of {', '.join(TYPES)}, or what else the carrier calls it.")
    features = serializers.ListField(child=serializers.CharField(), help_text=f"Of {', '.join(FEATURES)}.")


class AvailableNumberSerializer(AtCarrierSerializer):
    monthly_cost = serializers.CharField(help_text="As the carrier says; empty when it does not.")
    currency = serializers.SerializerMethodField()

    def get_currency(self, _number: Any) -> str:
        return CURRENCY


class OwnedNumberSerializer(AtCarrierSerializer):
    leads_to = serializers.CharField(help_text="Where the carrier sends calls; empty for nowhere.")
    linked = serializers.BooleanField(help_text="Whether that is this platform.")
    number_id = PublicIdField(
        PhoneNumber.public_prefix, allow_null=True, help_text="The number here, or a customer's: num_…; null if it is none."
    )

    def to_representation(self, owned: Owned) -> Any:
        at, row = owned.number, owned.row
        shown = {"leads_to": at.callbacks.voice_value, "linked": owned.is_linked, "number_id": row.pk if row else None}
        common = {"phone": at.phone, "country": at.country, "type": at.type, "features": at.features}
        return super().to_representation({**common, **shown})


class NumberActSerializer(StrictSerializer):
    phone = PhoneField()
    reason = serializers.CharField(max_length=500, default="", allow_blank=True, help_text="Kept in the audit.")
    dry_run = serializers.BooleanField(default=False, help_text="Say what would be done, and do nothing.")


class BuyNumberSerializer(NumberActSerializer):
    trunk_id = TrunkField(SipTrunk.public_prefix, source="grant", help_text="The trunk its calls take: trk_….")
    country = serializers.CharField(
        max_length=2, default="", allow_blank=True, validators=[validate_country], help_text="As found; empty: the number's own."
    )
    label = serializers.CharField(max_length=120, default="", allow_blank=True, help_text="What it is for, e.g. Main line.")  # type: ignore[assignment]


class ReleaseNumberSerializer(NumberActSerializer):
    also_here = serializers.BooleanField(default=False, help_text="Release it here first, if it routes here.")


class OutcomeSerializer(StrictSerializer):
    dry_run = serializers.BooleanField(help_text="True: nothing was done.")
    steps = serializers.ListField(child=serializers.CharField(), help_text="What was or would be done, for people.")
    number_id = PublicIdField(PhoneNumber.public_prefix, allow_null=True, help_text="The number here: num_….")
