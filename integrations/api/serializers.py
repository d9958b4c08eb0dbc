"""Shapes of the integrations app's resources."""

from rest_framework import serializers

from integrations.events import EVENT_TYPES, SELECTABLE
from integrations.models import WebhookDelivery, WebhookEndpoint
from tenants.models import OutboxEvent
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, StrictSerializer


class WebhookEndpointSerializer(StrictSerializer):
    id = PublicIdField(WebhookEndpoint.public_prefix, source="pk", read_only=True)
    url = serializers.CharField(max_length=2048, help_text="Events are posted here: https, on port 443 or 8443.")
    description = serializers.CharField(max_length=300, default="", allow_blank=True, help_text="What receives them, e.g. CRM.")
    event_types = serializers.ListField(
        child=serializers.ChoiceField(choices=SELECTABLE),
        default=list,
        max_length=len(SELECTABLE),
        help_text="Which events are sent; empty for all, also those that are added later.",
    )
    metadata = MetadataField(default=dict, help_text="Up to 50 short texts of your own.")
    status = serializers.ChoiceField(choices=WebhookEndpoint.Status.choices, read_only=True)
    disabled_reason = serializers.CharField(read_only=True, help_text="Why nothing is sent; empty while it is enabled.")
    disabled_at = serializers.DateTimeField(read_only=True, allow_null=True)
    failing_since = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Since when every attempt has failed.")
    last_success_at = serializers.DateTimeField(read_only=True, allow_null=True)
    previous_secret_until = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Until then events are also signed with the secret before the last rotation."
    )
    created_at = serializers.DateTimeField(read_only=True)


class WebhookEndpointChangesSerializer(WebhookEndpointSerializer):
    status = serializers.ChoiceField(
        choices=WebhookEndpoint.Status.choices, help_text="enabled: also what has waited is sent. disabled: nothing is sent."
    )


class NewWebhookEndpointSerializer(WebhookEndpointSerializer):
    secret = serializers.CharField(read_only=True, help_text="whsec_…: verifies the events' signatures. It is shown this once.")


class WebhookDeliverySerializer(StrictSerializer):
    id = PublicIdField(WebhookDelivery.public_prefix, source="pk", read_only=True)
    endpoint_id = PublicIdField(WebhookEndpoint.public_prefix, read_only=True)
    event_id = PublicIdField(OutboxEvent.public_prefix, read_only=True, help_text="The event's id and header Webhook-Id.")
    type = serializers.CharField(source="event_type", read_only=True)
    status = serializers.ChoiceField(
        choices=WebhookDelivery.Status.choices, read_only=True, help_text="dead: given up after about three days."
    )
    attempts = serializers.IntegerField(read_only=True)
    next_attempt_at = serializers.SerializerMethodField(help_text="When it is sent next; null once it is settled.")
    last_attempt_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_status = serializers.IntegerField(read_only=True, allow_null=True, help_text="HTTP status of the last answer.")
    last_error = serializers.CharField(read_only=True)
    last_duration_ms = serializers.IntegerField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    settled_at = serializers.DateTimeField(read_only=True, allow_null=True)
    payload = serializers.JSONField(read_only=True, help_text="What is posted.")

    def get_next_attempt_at(self, row: WebhookDelivery) -> str | None:
        waits = row.status == WebhookDelivery.Status.PENDING
        shown: str | None = serializers.DateTimeField().to_representation(row.next_at) if waits else None
        return shown


class ReplaySerializer(StrictSerializer):
    since = serializers.DateTimeField(help_text="What failed for good or was never sent since then; at most 30 days ago.")


class EventTypeSerializer(StrictSerializer):
    type = serializers.ChoiceField(choices=tuple(EVENT_TYPES))
    description = serializers.CharField()
    example = serializers.JSONField(source="example_event", help_text="The body of such an event.")
