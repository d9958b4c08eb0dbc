"""What customers are told of this app's news."""

from tenants.outbox import Event, Payload, payload_builder


@payload_builder("feature.changed", event_type="feature.changed")
def feature_changed(event: Event) -> Payload:
    return Payload(data={"key": event.data["feature"], "enabled": event.data["enabled"]})
