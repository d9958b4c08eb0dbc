"""The trunks a tenant may use, and what is known about carriers."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import errors as _errors  # noqa: F401 - registers what they mean
from calls.api import trunks_serializers as shapes
from calls.api.filters import TrunkFilters
from calls.api.people_serializers import ReasonSerializer
from calls.carriers import PRESETS, Carrier
from calls.models import SipTrunk, TrunkGrant
from calls.services import trunks
from tenants.api.idempotency import idempotent
from tenants.api.resources import CatalogueViewSet, ListMixin, ResourceViewSet, etag_headers, require_match
from voiceplatform.lib.api.problems import Refusal, declare

READ, WRITE = "trunks:read", "trunks:write"
AGENCYS: Final = declare("owned_by_agency", "It belongs to the agency, which alone changes it.")
EXAMPLE = OpenApiExample(
    "Vonage",
    request_only=True,
    value={
        "name": "Vonage US",
        "carrier": "vonage",
        "address": "sip.nexmo.com",
        "transport": "tcp",
        "auth_username": "abcd1234",
        "auth_password": "the API secret",
        "cps": 3,
        "channels": 20,
    },
)
CHANGE_EXAMPLE = OpenApiExample("More at once", request_only=True, value={"channels": 30})
STOP_EXAMPLE = OpenApiExample("Maintenance", request_only=True, value={"reason": "The carrier works on it tonight"})
RESUME_EXAMPLE = OpenApiExample("It works again", request_only=True, value={"reason": "The carrier says it is done"})
BY_METADATA = OpenApiParameter("metadata[key]", str, description="Your own trunks with exactly this value under `key`.")
BY_STOPPED = OpenApiParameter("stopped", str, enum=["true", "false"], description="Whether it places no calls.")


@extend_schema_view(list=extend_schema(summary="List carriers"))
class CarrierViewSet(CatalogueViewSet):
    """What a trunk to each begins with; everything can be changed."""

    scopes = {"list": READ}
    serializer_class = shapes.CarrierSerializer

    def entries(self) -> Iterable[dict[str, Any]]:
        for key, preset in PRESETS.items():
            values = asdict(preset)
            yield {"carrier": key, "name": Carrier(key).label, "help": values.pop("help_text"), **values}


@extend_schema_view(list=extend_schema(summary="List trunks", parameters=[BY_STOPPED, BY_METADATA]))
class TrunkViewSet(ListMixin, ResourceViewSet):
    """Ways to and from a carrier: your own, and those of your agency that you may use."""

    prefix = SipTrunk.public_prefix
    scopes = {
        **dict.fromkeys(("list", "retrieve"), READ),
        **dict.fromkeys(("create", "partial_update", "destroy", "stop", "resume"), WRITE),
    }
    serializer_class = shapes.TrunkSerializer
    filterset_class = TrunkFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = TrunkGrant.objects.filter(revoked_at=None).select_related("trunk")
        return rows

    def get_object(self) -> TrunkGrant:
        public_id = self.kwargs["id"]
        grant: TrunkGrant | None = self.rows().filter(trunk_id=self.row_id(self.prefix, public_id)).first()
        if grant is None:
            raise Http404(f"There is no {public_id[:60]}.")
        return grant

    @extend_schema(summary="Fetch a trunk")
    def retrieve(self, request: Request, id: str) -> Response:
        return _shown(self.get_object())

    @extend_schema(
        summary="Create a trunk", request=shapes.NewTrunkSerializer, responses={201: shapes.TrunkSerializer}, examples=[EXAMPLE]
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """The telephone server has it within seconds: `synced_at` says when, `sync_error` why not."""
        trunk = trunks.create_trunk(**self.body(shapes.NewTrunkSerializer, request))
        return _shown(self.rows().get(trunk=trunk), status=201)

    @extend_schema(
        summary="Change a trunk",
        request=shapes.NewTrunkSerializer(partial=True),
        responses=shapes.TrunkSerializer,
        examples=[CHANGE_EXAMPLE],
    )
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        """Send the ETag you read as `If-Match` to change nothing that somebody else has changed since."""
        trunk = self.locked(request)
        trunks.change_trunk(trunk=trunk, **self.body(shapes.NewTrunkSerializer, request, partial=True))
        return _shown(self.get_object())

    @extend_schema(summary="Retire a trunk", responses={204: None})
    @transaction.atomic
    def destroy(self, request: Request, id: str) -> Response:
        """For good; its calls stay. Refused with `in_use` while numbers are routed over it or customers use it."""
        trunks.retire_trunk(trunk=self.locked(request))
        return Response(status=204)

    @extend_schema(summary="Stop a trunk", request=ReasonSerializer, responses=shapes.TrunkSerializer, examples=[STOP_EXAMPLE])
    @action(detail=True, methods=["post"])
    @idempotent
    def stop(self, request: Request, id: str) -> Response:
        """It places no more calls until it is resumed; people can still call in. Repeating it keeps the first reason."""
        trunks.stop_trunk(trunk=self.own().trunk, why=self.body(ReasonSerializer, request)["reason"])
        return _shown(self.get_object())

    @extend_schema(
        summary="Resume a trunk", request=ReasonSerializer, responses=shapes.TrunkSerializer, examples=[RESUME_EXAMPLE]
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def resume(self, request: Request, id: str) -> Response:
        """It places calls again. Repeating it changes nothing."""
        trunks.resume_trunk(trunk=self.own().trunk, **self.body(ReasonSerializer, request))
        return _shown(self.get_object())

    def own(self) -> TrunkGrant:
        """Raises Refusal for a trunk of the agency."""
        grant = self.get_object()
        if not shapes.is_own(grant):
            raise Refusal(403, AGENCYS, f"{grant.trunk.name} belongs to your agency. Ask the agency to change it.")
        return grant

    def locked(self, request: Request) -> SipTrunk:
        """The tenant's own trunk as `If-Match` says, until the end of the transaction."""
        trunk: SipTrunk = SipTrunk.objects.select_for_update(no_key=True, of=("self",)).get(pk=self.own().trunk_id)
        require_match(request, trunk)
        return trunk


def _shown(grant: TrunkGrant, *, status: int = 200) -> Response:
    versioned = grant.trunk if shapes.is_own(grant) else grant
    return Response(shapes.TrunkSerializer(grant).data, status=status, headers=etag_headers(versioned))
