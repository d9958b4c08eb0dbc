"""Accounts with carriers, and the numbers there: found, bought, given back, and led here."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.urls import replace_query_param

from calls import errors
from calls.api import carriers_serializers as shapes
from calls.api.people import LockedMixin
from calls.api.sequences import listed
from calls.models import CarrierAccount
from calls.services import carrier_numbers, trunks
from integrations.vonage import Trouble, VonageError
from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet, RetrieveMixin, etag_headers
from voiceplatform.lib.api.problems import Refusal, declare, register, register_refusal

READ_ACCOUNTS, CHANGE_ACCOUNTS = "trunks:read", "trunks:write"
READ, WRITE = "numbers:read", "numbers:write"
_NO_REAL_NUMBERS: Final = (
    "A test key changes nothing at a carrier. Use a live key (vp_live_…), or ask with dry_run what would be done."
)
ASKS_CARRIER: Final = {"x-asks": "carrier"}
Shape = shapes.CarrierAccountSerializer
PHONE: Final = "+12125550123"
_MEANINGS: Final = {
    Trouble.CREDENTIALS: "The carrier does not accept the account's API key and secret.",
    Trouble.BALANCE: "The account's balance at the carrier is too low.",
    Trouble.ADDRESS: "The carrier wants an address before it sells numbers of this country.",
    Trouble.NUMBER: "The carrier does not have this number to give.",
    Trouble.REFUSED: "The carrier refused; `detail` says what it told.",
    Trouble.THROTTLED: "The carrier takes no more requests at the moment. Wait as long as Retry-After says.",
    Trouble.UNAVAILABLE: "The carrier does not answer. Ask again later: nothing is bought twice.",
}
_CODES: Final = {trouble: declare(f"carrier_{trouble}", meaning) for trouble, meaning in _MEANINGS.items()}


def _refusal(error: VonageError) -> Refusal:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return Refusal(409 if error.permanent else 503, _CODES[error.trouble], str(error), headers=headers)


register_refusal(VonageError, _refusal)
register(
    errors.CarrierNotManagedError, status=409, code="carrier_not_managed", meaning="Numbers of this carrier are not managed here."
)
register(
    errors.InboundNotConfiguredError,
    status=409,
    code="inbound_not_configured",
    meaning="The platform does not say where carriers are to send calls. Its operator has to set that.",
)
register(errors.NotOwnedError, status=409, code="number_not_owned", meaning="The account does not have this number.")
register(errors.NotRoutedError, status=409, code="number_not_here", meaning="The number is not among the account's numbers here.")


@extend_schema_view(
    list=extend_schema(summary="List carrier accounts"), retrieve=extend_schema(summary="Fetch a carrier account")
)
class CarrierAccountViewSet(LockedMixin, ListMixin, RetrieveMixin, ResourceViewSet):
    """What numbers are listed, bought and given back with."""

    prefix = CarrierAccount.public_prefix
    scopes = {
        **dict.fromkeys(("list", "retrieve"), READ_ACCOUNTS),
        **dict.fromkeys(("create", "partial_update", "destroy"), CHANGE_ACCOUNTS),
    }
    serializer_class = Shape

    def rows(self) -> QuerySet:
        rows: QuerySet = CarrierAccount.objects.all()
        return rows

    @extend_schema(
        summary="Create a carrier account",
        request=Shape,
        responses={201: Shape},
        examples=[
            OpenApiExample(
                "Vonage",
                request_only=True,
                value={"name": "Vonage", "carrier": "vonage", "api_key": "a1b2c3d4", "api_secret": "from the dashboard"},
            )
        ],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """The carrier is not asked yet: list the account's numbers to see whether its key and secret are right."""
        row = trunks.create_account(**self.body(Shape, request))
        row.refresh_from_db()
        return Response(Shape(row).data, status=201, headers=etag_headers(row))

    @extend_schema(
        summary="Change a carrier account",
        request=Shape(partial=True),
        responses=Shape,
        examples=[OpenApiExample("Another name", request_only=True, value={"name": "Vonage, main account"})],
    )
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        """A secret that is not sent stays."""
        row = self.locked(request, id)
        row = trunks.change_account(account=row, **self.body(Shape, request, partial=True))
        row.refresh_from_db()
        return Response(Shape(row).data, headers=etag_headers(row))

    @extend_schema(summary="Delete a carrier account", responses={204: None})
    @transaction.atomic
    def destroy(self, request: Request, id: str) -> Response:
        """Its numbers stay at the carrier. Refused with `in_use` while a trunk refers to it."""
        trunks.delete_account(account=self.locked(request, id))
        return Response(status=204)


def _act(summary: str, request: type[BaseSerializer], *, example: dict[str, Any]) -> Callable[..., Any]:
    return extend_schema(
        summary=summary,
        request=request,
        responses=shapes.OutcomeSerializer,
        extensions=ASKS_CARRIER,
        examples=[OpenApiExample("A dry run", request_only=True, value={"phone": PHONE, **example, "dry_run": True})],
    )


class CarrierNumberViewSet(ResourceViewSet):
    """Numbers at the carrier. Acts may be repeated as they are: what is done already is not done twice.

    They take a live key; with a test key `dry_run` alone is answered, anything else refused with `live_key_needed`.
    """

    prefix = CarrierAccount.public_prefix
    scopes = {
        **dict.fromkeys(("owned_numbers", "available_numbers"), READ),
        **dict.fromkeys(("buy_number", "release_number", "link_number", "unlink_number"), WRITE),
    }
    costly = frozenset({"buy_number"})

    def rows(self) -> QuerySet:
        rows: QuerySet = CarrierAccount.objects.all()
        return rows

    @extend_schema(
        summary="List the numbers a carrier account has",
        parameters=[shapes.PatternSerializer],
        responses=listed(shapes.OwnedNumberSerializer),
        extensions=ASKS_CARRIER,
    )
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def owned_numbers(self, request: Request, id: str) -> Response:
        """Also those that are not among the numbers here."""
        account, asked = self.get_object(), _query(shapes.PatternSerializer, request)
        pattern = asked.get("pattern", "")
        count, found = carrier_numbers.list_owned(account=account, pattern=pattern, page=asked["page"], size=asked["limit"])
        return _page(request, shapes.OwnedNumberSerializer, found, count=count, asked=asked)

    @extend_schema(
        summary="Search numbers that can be bought",
        parameters=[shapes.AvailableQuerySerializer],
        responses=listed(shapes.AvailableNumberSerializer),
        extensions=ASKS_CARRIER,
    )
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def available_numbers(self, request: Request, id: str) -> Response:
        """What the carrier offers now; somebody else may be faster."""
        account, asked = self.get_object(), _query(shapes.AvailableQuerySerializer, request)
        wanted = {name: asked[name] for name in ("country", "type", "pattern", "match", "page") if name in asked}
        found = carrier_numbers.search(account=account, **wanted, features=[asked["feature"]], size=asked["limit"])
        return _page(request, shapes.AvailableNumberSerializer, found.numbers, count=found.count, asked=asked)

    @_act("Buy a number", shapes.BuyNumberSerializer, example={"trunk_id": "trk_01kaswrzaafgx9y3jv3mn6x3t1"})
    @action(detail=True, methods=["post"])
    def buy_number(self, request: Request, id: str) -> Response:
        """Costs money each month. A number the account has already is added without being bought again.

        Calls come once the number is linked, and are answered once it has an agent.
        """
        return self._done(carrier_numbers.buy, shapes.BuyNumberSerializer, request)

    @_act("Give a number back", shapes.ReleaseNumberSerializer, example={"also_here": True})
    @action(detail=True, methods=["post"])
    def release_number(self, request: Request, id: str) -> Response:
        """It may go to somebody else at once. Refused with `in_use` while it routes here, unless `also_here`."""
        return self._done(carrier_numbers.release, shapes.ReleaseNumberSerializer, request)

    @_act("Lead a number's calls here", shapes.NumberActSerializer, example={})
    @action(detail=True, methods=["post"])
    def link_number(self, request: Request, id: str) -> Response:
        """The number must be among those here, or among those of a customer of the account's agency.

        What the carrier did with its calls before is kept for unlinking.
        """
        return self._done(carrier_numbers.link, shapes.NumberActSerializer, request)

    @_act("Lead a number's calls where they went before", shapes.NumberActSerializer, example={})
    @action(detail=True, methods=["post"])
    def unlink_number(self, request: Request, id: str) -> Response:
        """Calls that are led elsewhere stay as they are. It may be a number of a customer, as for linking."""
        return self._done(carrier_numbers.unlink, shapes.NumberActSerializer, request)

    def _done(self, act: Callable[..., carrier_numbers.Outcome], shape: type[BaseSerializer], request: Request) -> Response:
        account, asked = self.get_object(), self.body(shape, request)
        if not asked["dry_run"]:
            self.require_live_key(_NO_REAL_NUMBERS)
        done = act(account=account, **asked)
        shown = {"dry_run": done.dry_run, "steps": done.steps, "number_id": done.row.pk if done.row else None}
        return Response(shapes.OutcomeSerializer(shown).data)


def _query(shape: type[BaseSerializer], request: Request) -> dict[str, Any]:
    asked = shape(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    found: dict[str, Any] = asked.validated_data
    return found


def _page(request: Request, shape: type[BaseSerializer], rows: Sequence[Any], *, count: int, asked: dict[str, Any]) -> Response:
    more = asked["page"] * asked["limit"] < count
    following = replace_query_param(request.build_absolute_uri(), "page", asked["page"] + 1) if more else None
    shown: Any = shape(rows, many=True)
    return Response({"object": "list", "data": shown.data, "has_more": more, "next": following})
