"""Which deliveries are due, and which endpoints can be sent something now."""

from django.db.models import Exists, Manager, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from integrations.models import WebhookDelivery, WebhookEndpoint


def due_deliveries(rows: Manager) -> QuerySet[WebhookDelivery]:
    """Those of `rows` that wait for nothing: their moment has come and earlier ones of their object are settled."""
    pending = WebhookDelivery.Status.PENDING
    earlier = rows.filter(
        tenant=OuterRef("tenant"),
        endpoint=OuterRef("endpoint"),
        object_type=OuterRef("object_type"),
        object_id=OuterRef("object_id"),
        sequence__lt=OuterRef("sequence"),
        status=pending,
    )
    found: QuerySet[WebhookDelivery] = rows.filter(free(), status=pending, next_at__lte=Now()).filter(~Exists(earlier))
    return found


def free_endpoints(rows: Manager) -> QuerySet[WebhookEndpoint]:
    """Those of `rows` that take events, do not rest and are not being sent to."""
    return open_endpoints(rows).filter(free())


def open_endpoints(rows: Manager) -> QuerySet[WebhookEndpoint]:
    """Those of `rows` that take events and do not rest."""
    rested = Q(rests_until=None) | Q(rests_until__lte=Now())
    found: QuerySet[WebhookEndpoint] = rows.filter(rested, status=WebhookEndpoint.Status.ENABLED)
    return found


def ready_endpoints(endpoints: Manager, deliveries: Manager) -> QuerySet[WebhookEndpoint]:
    """Free endpoints with something due."""
    due = due_deliveries(deliveries).filter(tenant=OuterRef("tenant"), endpoint=OuterRef("pk"))
    return free_endpoints(endpoints).filter(Exists(due))


def free() -> Q:
    """Nobody's, or of a process that must have died."""
    return Q(leased_until=None) | Q(leased_until__lte=Now())
