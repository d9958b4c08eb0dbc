"""What deliveries can be filtered by."""

import django_filters

from integrations.events import EVENT_TYPES
from integrations.models import WebhookDelivery
from voiceplatform.lib.api.filters import MetadataFilter


class WebhookEndpointFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=[("enabled", "enabled"), ("disabled", "disabled")])
    metadata = MetadataFilter(field_name="metadata")


class WebhookDeliveryFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=WebhookDelivery.Status.choices)
    type = django_filters.ChoiceFilter(field_name="event_type", choices=[(name, name) for name in EVENT_TYPES])
