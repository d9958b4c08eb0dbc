"""What integrations hears: news of the other apps for customers' webhooks, its own for the people behind them; and who does
its long work."""

from integrations.services import deliveries, notices
from tenants.jobs import REPLAY, job_handler
from tenants.outbox import Event, subscriber
from tenants.topics import NOTICES, WEBHOOKS

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


@subscriber(NOTICES, topic="webhook_endpoint.failing", writes_rows_only=False)
@subscriber(NOTICES, topic="webhook_endpoint.disabled", writes_rows_only=False)
def send_notices(event: Event) -> None:
    notices.send(event)
