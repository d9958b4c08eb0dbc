"""Transfer targets: the people and queues agents may hand calls to."""

from typing import Any, Final

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import TransferTarget
from agents.models.target import LONGEST_NAME
from agents.transfers import RINGS_S
from calls.api import errors as _errors  # noqa: F401 - registers what they mean
from calls.api.filters import FlagFilter
from calls.api.numbers_serializers import clock_field, hours_field
from calls.api.people import LockedMixin
from calls.api.people_serializers import PhoneField
from calls.services import targets
from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet, RetrieveMixin, etag_headers
from voiceplatform.lib.api.fields import PublicIdField, StrictSerializer

READ, WRITE = "agents:read", "agents:publish"
EXAMPLE: Final = OpenApiExample(
    "A front desk",
    request_only=True,
    value={
        "name": "Front desk",
        "when": "Anything about appointments.",
        "phone": "+12025550123",
        "hours": [{"weekdays": [1, 2, 3, 4, 5], "starts_at": "09:00", "ends_at": "17:30"}],
        "timezone": "America/New_York",
    },
)
CHANGE_EXAMPLE: Final = OpenApiExample("Off for today", request_only=True, value={"enabled": False})
BY_ENABLED: Final = OpenApiParameter("enabled", str, enum=["true", "false"], description="Whether calls are handed to it.")


class TargetFilters(django_filters.FilterSet):
    enabled = FlagFilter()
    kind = django_filters.ChoiceFilter(choices=TransferTarget.Kind.choices)
    name = django_filters.CharFilter(lookup_expr="icontains", max_length=LONGEST_NAME)


class TransferTargetSerializer(StrictSerializer):
    id = PublicIdField(TransferTarget.public_prefix, source="pk", read_only=True)
    name = serializers.CharField(max_length=LONGEST_NAME, help_text="As the agent knows them, e.g. Front desk.")
    kind = serializers.ChoiceField(
        choices=TransferTarget.Kind.choices,
        default=TransferTarget.Kind.PERSON,
        help_text="A person confirms that they take the call, by a key or by saying yes; a queue just answers.",
    )
    when = serializers.CharField(
        max_length=300, default="", allow_blank=True, help_text="For the agent: what they are for, e.g. Questions about a bill."
    )
    phone = PhoneField(help_text="With country code, e.g. +12125550123. The agent cannot change it.")
    digits = serializers.CharField(
        max_length=32,
        default="",
        allow_blank=True,
        help_text="Keys pressed after the answer, e.g. an extension: 0-9, *, # and w.",
    )
    mode = serializers.ChoiceField(
        choices=TransferTarget.Mode.choices,
        default=TransferTarget.Mode.WARM,
        help_text="warm: the agent introduces the caller first. blind: the caller is put through at once.",
    )
    ring_s = serializers.IntegerField(min_value=5, max_value=60, default=RINGS_S, help_text="Then the next one is tried.")
    priority = serializers.IntegerField(min_value=0, max_value=1000, default=100, help_text="Lower ones are tried first.")
    hours = hours_field("When somebody is there.")
    timezone = clock_field()
    enabled = serializers.BooleanField(default=True, help_text="Off: no call is handed to it.")
    created_at = serializers.DateTimeField(read_only=True)


Shape = TransferTargetSerializer


@extend_schema_view(
    list=extend_schema(summary="List transfer targets", parameters=[BY_ENABLED]),
    retrieve=extend_schema(summary="Fetch a transfer target"),
)
class TransferTargetViewSet(LockedMixin, ListMixin, RetrieveMixin, ResourceViewSet):
    """People and queues your agents may hand calls to. A version names them in `transfer.targets` of its settings."""

    prefix = TransferTarget.public_prefix
    scopes = {"list": READ, "retrieve": READ, "create": WRITE, "partial_update": WRITE, "destroy": WRITE}
    serializer_class = Shape
    filterset_class = TargetFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = TransferTarget.objects.all()
        return rows

    @extend_schema(summary="Create a transfer target", request=Shape, responses={201: Shape}, examples=[EXAMPLE])
    @idempotent
    def create(self, request: Request) -> Response:
        """Refused for a phone that may not be called: emergency, premium and short numbers, other countries, suppressed ones."""
        return self._answer(targets.create_target(**self.body(Shape, request)), status=201)

    @extend_schema(summary="Change a transfer target", request=Shape(partial=True), responses=Shape, examples=[CHANGE_EXAMPLE])
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        """Calls placed from now on know it like this; those that run keep what they began with, and try none that is off."""
        before = self.locked(request, id)
        return self._answer(targets.change_target(target=before, **self.body(Shape, request, partial=True)))

    @extend_schema(summary="Delete a transfer target", responses={204: None})
    @transaction.atomic
    def destroy(self, request: Request, id: str) -> Response:
        """Refused with `in_use` while a draft, or the version calls get, hands over to it."""
        targets.delete_target(target=self.locked(request, id))
        return Response(status=204)

    def _answer(self, row: Any, *, status: int = 200) -> Response:
        row.refresh_from_db()
        return Response(Shape(row).data, status=status, headers=etag_headers(row))
