"""Webhooks: where events are sent, what was sent, and which events there are."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api import errors as _errors  # noqa: F401 - registers what they mean
from integrations.api import serializers as shapes
from integrations.api.filters import WebhookDeliveryFilters, WebhookEndpointFilters
from integrations.events import EVENT_TYPES
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.services import deliveries, endpoints
from tenants.api.idempotency import idempotent
from tenants.api.jobs import accepted
from tenants.api.resources import CatalogueViewSet, ListMixin, ResourceViewSet, RetrieveMixin, etag_headers, require_match
from tenants.api.serializers import JobSerializer

READ, WRITE = "webhooks:read", "webhooks:write"
Shape = shapes.WebhookEndpointSerializer
CREATE_EXAMPLE = OpenApiExample(
    "Endings and messages",
    request_only=True,
    value={"url": "https://example.com/hooks/voice", "description": "CRM", "event_types": ["call.ended", "message.taken"]},
)
PAUSE_EXAMPLE = OpenApiExample("Pause it", request_only=True, value={"status": "disabled"})
REPLAY_EXAMPLE = OpenApiExample("Since an outage", request_only=True, value={"since": "2026-11-25T08:00:00Z"})
ENDPOINT_ID = OpenApiParameter("endpoint_id", str, OpenApiParameter.PATH, description="The endpoint: whe_….")


@extend_schema_view(
    list=extend_schema(summary="List webhook endpoints"), retrieve=extend_schema(summary="Fetch a webhook endpoint")
)
class WebhookEndpointViewSet(ListMixin, RetrieveMixin, ResourceViewSet):
    prefix = WebhookEndpoint.public_prefix
    scopes = {
        **dict.fromkeys(("list", "retrieve"), READ),
        **dict.fromkeys(("create", "partial_update", "destroy", "rotate_secret"), WRITE),
    }
    serializer_class = Shape
    filterset_class = WebhookEndpointFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = WebhookEndpoint.objects.all()
        return rows

    @extend_schema(
        summary="Create a webhook endpoint",
        request=Shape,
        responses={201: shapes.NewWebhookEndpointSerializer},
        examples=[CREATE_EXAMPLE],
    )
    def create(self, request: Request) -> Response:
        """The secret that signs its events is in the answer, this once; so an Idempotency-Key is not taken.

        A 2xx within 10 seconds takes an event; anything else is tried again after 5 seconds, 5 and 30 minutes, 2, 5, 10, 14,
        20 and 24 hours, each ± 20 %: ten attempts over three days. Events of one object come in order, each perhaps more
        than once: keep the ids you have seen. `Retry-After` of a 429 or 503 is kept to, up to 24 hours. After 410, or three
        days of failures, the endpoint is disabled; your people are told by e-mail, and once before, after a day.
        """
        return _with_secret(endpoints.create_endpoint(**self.body(Shape, request)), status=201)

    @extend_schema(
        summary="Change a webhook endpoint",
        request=shapes.WebhookEndpointChangesSerializer,
        responses=Shape,
        examples=[PAUSE_EXAMPLE],
    )
    def partial_update(self, request: Request, id: str) -> Response:
        changes = self.body(shapes.WebhookEndpointChangesSerializer, request, partial=True)
        with transaction.atomic():
            row = self.row(self.rows().select_for_update(no_key=True), self.prefix, id)
            require_match(request, row)
            row = endpoints.update_endpoint(endpoint=row, **changes)
        return Response(Shape(row).data, headers=etag_headers(row))

    @extend_schema(summary="Delete a webhook endpoint", responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """With its deliveries, also those that have not been sent."""
        endpoints.delete_endpoint(endpoint=self.get_object())
        return Response(status=204)

    @extend_schema(summary="Rotate the secret", request=None, responses=shapes.NewWebhookEndpointSerializer)
    @action(detail=True, methods=["post"])
    def rotate_secret(self, request: Request, id: str) -> Response:
        """The new secret is in the answer, this once. For 24 hours events carry signatures of both."""
        return _with_secret(endpoints.rotate_secret(endpoint=self.get_object()))


class WebhookEndpointSendingViewSet(ResourceViewSet):
    prefix = WebhookEndpoint.public_prefix
    scopes = {"test": WRITE, "replay": WRITE}

    def rows(self) -> QuerySet:
        rows: QuerySet = WebhookEndpoint.objects.all()
        return rows

    @extend_schema(summary="Send a test event", request=None, responses={202: shapes.WebhookDeliverySerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def test(self, request: Request, id: str) -> Response:
        """An event of type `webhook.test`, signed and retried as any other. Its delivery says how it went."""
        delivery = deliveries.send_test(endpoint=self.get_object())
        return Response(shapes.WebhookDeliverySerializer(delivery).data, status=202)

    @extend_schema(
        summary="Send again what was missed",
        request=shapes.ReplaySerializer,
        responses={202: JobSerializer},
        examples=[REPLAY_EXAMPLE],
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def replay(self, request: Request, id: str) -> Response:
        """What failed for good since a moment, and what happened while the endpoint was disabled. A job does it."""
        return accepted(deliveries.begin_replay(endpoint=self.get_object(), **self.body(shapes.ReplaySerializer, request)))


@extend_schema_view(list=extend_schema(summary="List an endpoint's deliveries", parameters=[ENDPOINT_ID]))
class EndpointDeliveryViewSet(ListMixin, ResourceViewSet):
    scopes = {"list": READ}
    model = WebhookDelivery
    serializer_class = shapes.WebhookDeliverySerializer
    filterset_class = WebhookDeliveryFilters

    def rows(self) -> QuerySet:
        endpoint = self.row(WebhookEndpoint.objects.all(), WebhookEndpoint.public_prefix, self.kwargs["endpoint_id"])
        rows: QuerySet = WebhookDelivery.objects.filter(endpoint=endpoint)
        return rows


@extend_schema_view(retrieve=extend_schema(summary="Fetch a delivery"))
class WebhookDeliveryViewSet(RetrieveMixin, ResourceViewSet):
    prefix = WebhookDelivery.public_prefix
    scopes = {"retrieve": READ, "resend": WRITE}
    serializer_class = shapes.WebhookDeliverySerializer

    def rows(self) -> QuerySet:
        rows: QuerySet = WebhookDelivery.objects.select_related("endpoint")
        return rows

    @extend_schema(summary="Send a delivery again", request=None, responses={202: shapes.WebhookDeliverySerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def resend(self, request: Request, id: str) -> Response:
        """Under the same event id, so that a receiver which has it already can tell."""
        delivery = deliveries.resend(delivery=self.get_object())
        return Response(shapes.WebhookDeliverySerializer(delivery).data, status=202)


@extend_schema_view(list=extend_schema(summary="List event types"))
class EventTypeViewSet(CatalogueViewSet):
    """What webhooks tell of, with an example of each."""

    scopes = {"list": READ}
    serializer_class = shapes.EventTypeSerializer

    def entries(self) -> Iterable[Any]:
        return EVENT_TYPES.values()


def _with_secret(made: endpoints.NewSecret, *, status: int = 200) -> Response:
    body = {**Shape(made.row).data, "secret": made.secret}
    return Response(body, status=status, headers=etag_headers(made.row))
