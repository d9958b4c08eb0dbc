"""What analytics hears from the apps below."""

from analytics.services import rollups
from tenants.outbox import Event, subscriber


@subscriber("analytics.roll_up_call", topic="call.finalized")
def roll_up_call(event: Event) -> None:
    rollups.add_call(event.data)


@subscriber("analytics.reprice_call", topic="call.repriced")
def reprice_call(event: Event) -> None:
    rollups.change_cost(event.data)
