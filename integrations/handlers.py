"""What integrations hears from the other apps: news for customers' webhooks; and who does its long work."""

from integrations.services import deliveries
from tenants.jobs import REPLAY, job_handler
from tenants.outbox import Event, subscriber
from tenants.topics import WEBHOOKS

job_handler(REPLAY, deliveries.REPLAYING)


@subscriber(WEBHOOKS, topic="call.queued")
@subscriber(WEBHOOKS, topic="call.in_progress")
@subscriber(WEBHOOKS, topic="call.finalized")
@subscriber(WEBHOOKS, topic="message.taken")
@subscriber(WEBHOOKS, topic="recording.ready")
@subscriber(WEBHOOKS, topic="agent.published")
@subscriber(WEBHOOKS, topic="feature.changed")
def note_webhooks(event: Event) -> None:
    deliveries.note_event(event)
