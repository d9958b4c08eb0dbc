"""Placing calls, finding them, and hanging up."""

from collections.abc import Callable, Mapping
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
from calls.services.web_calls import let_in, place_web
from tenants.api.idempotency import REPLAYED, idempotent, replay_headers, takes_key
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
_WEB: Final = OpenApiExample("A call from a browser", value={"agent_id": _AGENT, "kind": "web"}, request_only=True)
_HANG_UP: Final = OpenApiExample("With a reason", value={"reason": "Placed by mistake"}, request_only=True)

_PLACE: Final[Mapping[str, Callable[..., Call]]] = {
    Call.Kind.OUTBOUND: place_outbound,
    Call.Kind.WEB: place_web,
    Call.Kind.SIMULATED: place_call,
}


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
        "token": "calls:join",
        "transcript": "calls:read",
        "tool_calls": "calls:read",
        "events": "calls:read",
        "usage": "usage:read",
    }
    costly = frozenset({"create", "token"})
    serializer_class = shapes.CallSerializer
    filterset_class = CallFilters

    def rows(self) -> QuerySet:
        return shown_calls()

    @extend_schema(summary="Place a call", request=shapes.NewCallSerializer, responses={201: shapes.PlacedCallSerializer})
    @extend_schema(examples=[_SIMULATED, _OUTBOUND, _WEB])
    @takes_key
    def create(self, request: Request) -> Response:
        """A test key makes test calls only. Simulated calls need no telephone: a persona calls the agent. A web call waits for
        the browser you give `web` to, and is canceled when none has joined in ten minutes; who joins hears the agent at once."""
        placed = self._place(request)
        call = placed.data
        if call["kind"] == Call.Kind.WEB and REPLAYED not in placed:
            entry = let_in(self.row(self.rows(), self.prefix, call["id"]))
            call = {**call, "web": shapes.WebEntrySerializer(entry).data}
        return Response(call, status=201, headers=replay_headers(placed))

    @idempotent
    def _place(self, request: Request) -> Response:
        wanted: dict[str, Any] = self.body(shapes.NewCallSerializer, request)
        wanted["livemode"] = None if self.caller.livemode else False
        if "override_gates" in wanted and not self.caller.may("calls:override_gates"):
            raise PermissionDenied("The API key lacks the scope calls:override_gates.")
        return self._shown(_PLACE[wanted["kind"]](**wanted), status=201)

    @extend_schema(summary="Fetch a call", responses=shapes.FetchedCallSerializer)
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(shapes.FetchedCallSerializer(self.get_object()).data)

    @extend_schema(
        summary="Hang up", request=shapes.HangUpSerializer, responses=shapes.FetchedCallSerializer, examples=[_HANG_UP]
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def hang_up(self, request: Request, id: str) -> Response:
        """A call that no worker has yet ends at once; a running one within seconds: fetch it again."""
        call = self.get_object()
        request_hang_up(call, reason=self.body(shapes.HangUpSerializer, request)["reason"])
        return self._shown(call)

    @extend_schema(summary="Get a token to join with", request=None, responses=shapes.WebEntrySerializer)
    @action(detail=True, methods=["post"])
    def token(self, request: Request, id: str) -> Response:
        """For a web call that nobody has joined yet. Tokens handed out before hold until their own end."""
        return Response(shapes.WebEntrySerializer(let_in(self.get_object())).data)

    def _shown(self, call: Call, *, status: int = 200) -> Response:
        return Response(shapes.FetchedCallSerializer(shown_calls().get(pk=call.pk)).data, status=status)
