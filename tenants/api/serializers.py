"""Shapes of the tenants app's resources."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from tenants.models import ApiKey
from tenants.roles import SCOPES
from voiceplatform.lib.api.fields import PublicIdField, StrictSerializer


class ApiKeySerializer(StrictSerializer):
    id = PublicIdField(ApiKey.public_prefix, source="pk", read_only=True)
    name = serializers.CharField(max_length=80, help_text="What uses it, e.g. CRM sync.")
    key_start = serializers.CharField(source="shown", read_only=True, help_text="As much of the key as can be shown.")
    livemode = serializers.BooleanField(default=False, help_text="False: calls made with it are test calls.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(SCOPES)), min_length=1, max_length=len(SCOPES), help_text="What it may do."
    )
    allowed_cidrs = serializers.ListField(
        child=serializers.CharField(max_length=43),
        default=list,
        max_length=50,
        help_text="Networks it may be used from; empty for any.",
    )
    expires_at = serializers.DateTimeField(default=None, allow_null=True, help_text="From then on it is refused; null for never.")
    created_at = serializers.DateTimeField(read_only=True)
    last_used_at = serializers.DateTimeField(read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)


class NewApiKeySerializer(ApiKeySerializer):
    secret = serializers.CharField(read_only=True, help_text="The key itself. It is shown this once.")


@extend_schema_serializer(many=False)
class MeSerializer(StrictSerializer):
    tenant = serializers.CharField(help_text="The account requests act for: ten_….")
    tenant_name = serializers.CharField()
    tenant_status = serializers.CharField()
    timezone = serializers.CharField(help_text="Agents tell dates and times in this zone.")
    currency = serializers.CharField(help_text="Costs are in this currency, as an ISO code.")
    api_key = serializers.CharField(help_text="The key of this request: key_….")
    api_key_name = serializers.CharField()
    livemode = serializers.BooleanField(help_text="False: calls made with this key are test calls.")
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


class FeatureSerializer(StrictSerializer):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()
    enabled = serializers.BooleanField()
    config = serializers.JSONField(allow_null=True, help_text="Its configuration; null while it is off.")
