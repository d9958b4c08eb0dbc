from rest_framework.routers import SimpleRouter

from integrations.api import views


def register(router: SimpleRouter) -> None:
    router.register("webhook_endpoints", views.WebhookEndpointViewSet, basename="webhook_endpoint")
    router.register("webhook_endpoints", views.WebhookEndpointSendingViewSet, basename="webhook_endpoint_sending")
    router.register(
        r"webhook_endpoints/(?P<endpoint_id>[^/]+)/deliveries", views.EndpointDeliveryViewSet, basename="endpoint_delivery"
    )
    router.register("webhook_deliveries", views.WebhookDeliveryViewSet, basename="webhook_delivery")
    router.register("event_types", views.EventTypeViewSet, basename="event_type")
