"""Shapes of the tenants app's resources."""

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from tenants.jobs import KINDS
from tenants.models import ApiKey, Job
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
    config = serializers.DictField(allow_null=True, help_text="Its configuration; null while it is off.")


class JobSerializer(StrictSerializer):
    id = PublicIdField(Job.public_prefix, source="pk", read_only=True)
    kind = serializers.ChoiceField(choices=list(KINDS.items()), read_only=True)
    state = serializers.ChoiceField(choices=Job.State.choices, read_only=True)
    done = serializers.IntegerField(read_only=True, help_text="How much of the total has been worked on.")
    total = serializers.IntegerField(read_only=True, help_text="0 until it has been counted.")
    failed = serializers.IntegerField(read_only=True, help_text="How much of what is done was refused; see its errors.")
    result = serializers.DictField(
        child=serializers.IntegerField(), read_only=True, help_text="What became of the rest, e.g. created, updated, unchanged."
    )
    error = serializers.CharField(read_only=True, help_text="Why the job as a whole failed; empty if it did not.")
    api_key = PublicIdField(
        ApiKey.public_prefix, source="created_by_key", read_only=True, allow_null=True, help_text="Who asked; null for staff."
    )
    created_at = serializers.DateTimeField(read_only=True)
    started_at = serializers.DateTimeField(read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(read_only=True, allow_null=True)


class JobErrorSerializer(StrictSerializer):
    row = serializers.IntegerField(read_only=True, help_text="As a spreadsheet counts: 1 is the header.")
    field = serializers.CharField(read_only=True, help_text="The column; empty for the row as a whole.")
    message = serializers.CharField(read_only=True)
