"""Finding, among all tenants, the endpoints that can be sent something now."""

from typing import Final

from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.selectors import ready_endpoints
from integrations.wakeups import wake

_MOST_WOKEN: Final = 500


def sweep() -> int:
    """Wake the sending to each endpoint with something due; returns how many the broker took. Needs no scope."""
    ready = ready_endpoints(WebhookEndpoint.all_objects, WebhookDelivery.all_objects)
    woken = 0
    for endpoint_id, tenant_id in ready.order_by("?").values_list("pk", "tenant_id")[:_MOST_WOKEN]:
        if not wake(endpoint_id, tenant_id=tenant_id):
            break
        woken += 1
    return woken
