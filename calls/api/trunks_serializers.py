"""Shapes of carriers, and of the trunks a tenant may use."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from calls.carriers import Carrier
from calls.models import CarrierAccount, SipTrunk, TrunkGrant
from calls.models.trunk import HIGHEST_CPS, MOST_CHANNELS
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, RowField, StrictSerializer

OWNERS = (("self", "self"), ("agency", "agency"))
MOST_ADDRESSES = 100
# What an agency keeps to itself of a trunk that a customer may use.
PRIVATE = (
    "account_id",
    "address",
    "transport",
    "auth_username",
    "allowed_addresses",
    "cps",
    "metadata",
    "stopped_reason",
    "synced_at",
    "sync_error",
    "drift",
)


class CarrierSerializer(StrictSerializer):
    carrier = serializers.ChoiceField(choices=Carrier.choices)
    name = serializers.CharField()
    address = serializers.CharField(help_text="Where a trunk begins to look; it may be an example that has to be replaced.")
    transport = serializers.ChoiceField(choices=SipTrunk.Transport.choices)
    cps = serializers.IntegerField(help_text="Calls begun in a second.")
    channels = serializers.IntegerField(help_text="Calls at the same time.")
    help = serializers.CharField(help_text="Where the credentials are found, for people.")
    sells_numbers = serializers.BooleanField(help_text="Numbers are listed, bought and released there through this API.")


def _accounts() -> QuerySet:
    rows: QuerySet = CarrierAccount.objects.all()
    return rows


class NewTrunkSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120)
    carrier = serializers.ChoiceField(choices=Carrier.choices)
    account_id = RowField(
        _accounts, prefix=CarrierAccount.public_prefix, source="account", required=False, allow_null=True, help_text="car_…."
    )
    address = serializers.CharField(max_length=255, help_text="Host, with a port if need be, e.g. sip.example.com:5060.")
    transport = serializers.ChoiceField(choices=SipTrunk.Transport.choices, required=False)
    auth_username = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="Who we are to the carrier; empty for none."
    )
    auth_password = serializers.CharField(
        max_length=200,
        required=False,
        allow_null=True,
        write_only=True,
        trim_whitespace=False,
        help_text="It is shown to nobody; left out it stays, null removes it.",
    )
    allowed_addresses = serializers.ListField(
        child=serializers.CharField(max_length=43),
        required=False,
        max_length=MOST_ADDRESSES,
        help_text="Where inbound calls may come from, as addresses or networks. Empty: from anywhere.",
    )
    cps = serializers.IntegerField(
        min_value=1, max_value=HIGHEST_CPS, required=False, help_text="Calls begun in a second, at most; ask the carrier."
    )
    channels = serializers.IntegerField(
        min_value=1, max_value=MOST_CHANNELS, required=False, help_text="Calls at the same time, at most, inbound ones included."
    )
    metadata = MetadataField(required=False, help_text="Up to 50 short texts of your own. A change replaces all of them.")


class TrunkSerializer(StrictSerializer):
    """Made of a grant, which is how a tenant uses any trunk. What is the agency's own business is null."""

    id = PublicIdField(SipTrunk.public_prefix, source="trunk_id", read_only=True)
    owner = serializers.SerializerMethodField(help_text="agency: it is your agency's, which alone changes it.")
    name = serializers.CharField(source="trunk.name", read_only=True)
    carrier = serializers.ChoiceField(source="trunk.carrier", choices=Carrier.choices, read_only=True)
    account_id = PublicIdField(CarrierAccount.public_prefix, source="trunk.account_id", read_only=True, allow_null=True)
    address = serializers.CharField(source="trunk.address", read_only=True, allow_null=True)
    transport = serializers.ChoiceField(
        source="trunk.transport", choices=SipTrunk.Transport.choices, read_only=True, allow_null=True
    )
    auth_username = serializers.CharField(source="trunk.auth_username", read_only=True, allow_null=True)
    allowed_addresses = serializers.ListField(
        source="trunk.allowed_addresses", child=serializers.CharField(), read_only=True, allow_null=True
    )
    cps = serializers.IntegerField(source="trunk.cps", read_only=True, allow_null=True)
    channels = serializers.SerializerMethodField(
        help_text="Calls at the same time, at most: of the whole trunk if it is your own, else yours."
    )
    reserved_inbound = serializers.IntegerField(read_only=True, help_text="How many of them are kept for people who call in.")
    metadata = serializers.DictField(
        source="trunk.metadata", child=serializers.CharField(allow_blank=True), read_only=True, allow_null=True
    )
    stopped_at = serializers.DateTimeField(
        source="trunk.stopped_at", read_only=True, allow_null=True, help_text="Since when it places no calls; null while it does."
    )
    stopped_reason = serializers.CharField(source="trunk.stopped_reason", read_only=True, allow_null=True)
    synced_at = serializers.DateTimeField(
        source="trunk.synced_at", read_only=True, allow_null=True, help_text="When the telephone server last had it like this."
    )
    sync_error = serializers.CharField(
        source="trunk.sync_error", read_only=True, allow_null=True, help_text="Why the server does not have it; empty if it does."
    )
    drift = serializers.CharField(
        source="trunk.drift", read_only=True, allow_null=True, help_text="What the server had instead when it was last compared."
    )
    created_at = serializers.DateTimeField(read_only=True)

    @extend_schema_field(serializers.ChoiceField(choices=OWNERS))
    def get_owner(self, grant: TrunkGrant) -> str:
        return "self" if is_own(grant) else "agency"

    def get_channels(self, grant: TrunkGrant) -> int:
        channels: int = grant.trunk.channels if is_own(grant) else grant.channels
        return channels

    def to_representation(self, instance: TrunkGrant) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        return shown if is_own(instance) else {**shown, **dict.fromkeys(PRIVATE)}


def is_own(grant: TrunkGrant) -> bool:
    """Whether the trunk belongs to the tenant that may use it."""
    return bool(grant.owner_id == grant.tenant_id)
