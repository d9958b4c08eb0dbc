"""Placing calls, finding them, and hanging up."""

from typing import Any, Final

from django.db.models import F, Prefetch, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import errors as _errors  # noqa: F401 - registers what they mean
from calls.api import serializers as shapes
from calls.api.filters import CallFilters
from calls.api.records import CallRecordsMixin
from calls.models import Call, Leg, Recording
from calls.services import place_call
from calls.services.commands import request_hang_up
from calls.services.outbound import place_outbound
from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet

_AGENT: Final = "agt_01kaswrzaafgx9y3jv3mn6x3t1"
_SIMULATED: Final = OpenApiExample(
    "A simulated call",
    value={"agent_id": _AGENT, "kind": "simulated", "persona": "hours_and_message", "metadata": {"order": "7"}},
    request_only=True,
)
_OUTBOUND: Final = OpenApiExample(
    "A call to a person",
    value={
        "agent_id": _AGENT,
        "to": "+15125550143",
        "variables": {"first_name": "Maria"},
        "overrides": {"max_duration_s": 300},
        "not_before": "2026-12-01T15:00:00Z",
    },
    request_only=True,
)
_HANG_UP: Final = OpenApiExample("With a reason", value={"reason": "Placed by mistake"}, request_only=True)


def shown_calls() -> QuerySet:
    recordings = Prefetch("recordings", queryset=Recording.objects.all(), to_attr=shapes.KEPT_RECORDINGS)
    legs = Prefetch("legs", queryset=Leg.objects.all(), to_attr=shapes.KEPT_LEGS)
    rows: QuerySet = Call.objects.annotate(version_number=F("version__number")).prefetch_related(recordings, legs)
    return rows


@extend_schema_view(list=extend_schema(summary="List calls"))
class CallViewSet(CallRecordsMixin, ListMixin, ResourceViewSet):
    prefix = Call.public_prefix
    scopes = {
        "list": "calls:read",
        "create": "calls:write",
        "retrieve": "calls:read",
        "hang_up": "calls:write",
        "transcript": "calls:read",
        "tool_calls": "calls:read",
        "events": "calls:read",
        "usage": "usage:read",
    }
    costly = frozenset({"create"})
    serializer_class = shapes.CallSerializer
    filterset_class = CallFilters

    def rows(self) -> QuerySet:
        return shown_calls()

    @extend_schema(summary="Place a call", request=shapes.NewCallSerializer, responses={201: shapes.CallSerializer})
    @extend_schema(examples=[_SIMULATED, _OUTBOUND])
    @idempotent
    def create(self, request: Request) -> Response:
        """A test key makes test calls only. Simulated calls need no telephone: a persona calls the agent."""
        wanted: dict[str, Any] = self.body(shapes.NewCallSerializer, request)
        wanted["livemode"] = None if self.caller.livemode else False
        if "override_gates" in wanted and not self.caller.may("calls:override_gates"):
            raise PermissionDenied("The API key lacks the scope calls:override_gates.")
        call = place_outbound(**wanted) if wanted["kind"] == Call.Kind.OUTBOUND else place_call(**wanted)
        return self._shown(call, status=201)

    @extend_schema(summary="Fetch a call")
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(summary="Hang up", request=shapes.HangUpSerializer, responses=shapes.CallSerializer, examples=[_HANG_UP])
    @action(detail=True, methods=["post"])
    @idempotent
    def hang_up(self, request: Request, id: str) -> Response:
        """A call that no worker has yet ends at once; a running one within seconds: fetch it again."""
        call = self.get_object()
        request_hang_up(call, reason=self.body(shapes.HangUpSerializer, request)["reason"])
        return self._shown(call)

    def _shown(self, call: Call, *, status: int = 200) -> Response:
        return Response(shapes.CallSerializer(shown_calls().get(pk=call.pk)).data, status=status)
