"""Telephone numbers: adding, routing and releasing them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import errors as _errors  # noqa: F401 - registers what they mean
from calls.api import numbers_serializers as shapes
from calls.api.filters import NumberFilters
from calls.models import PhoneNumber
from calls.services import numbers
from tenants.api.resources import ListMixin, ResourceViewSet, RetrieveMixin, etag_headers, require_match

READ, WRITE = "numbers:read", "numbers:write"
_NAMES: Final = {"grant": "trunk_id", "agent": "agent_id", "closed_agent": "closed_agent_id"}
Shape, WithSecret = shapes.NumberSerializer, shapes.NumberWithSecretSerializer
EXAMPLE = OpenApiExample(
    "An office",
    request_only=True,
    value={
        "phone": "+12025550123",
        "label": "Main line",
        "trunk_id": "trk_01kaswrzaafgx9y3jv3mn6x3t1",
        "agent_id": "agt_01kaswrzaafgx9y3jv3mn6x3t1",
        "timezone": "America/New_York",
        "hours": [{"weekdays": [1, 2, 3, 4, 5], "starts_at": "09:00", "ends_at": "17:30"}],
        "closed_action": "sentence",
        "closed_sentence": "We are closed. Please call again tomorrow from nine.",
    },
)
CHANGE_EXAMPLE = OpenApiExample("Open on Saturdays", request_only=True, value={"closed_action": "agent", "hours": []})
BY_PHONE = OpenApiParameter("phone", str, description="Exactly this number; in an address, + is written %2B.")
BY_METADATA = OpenApiParameter("metadata[key]", str, description="Numbers whose metadata has exactly this value under `key`.")
BY_RELEASED = OpenApiParameter("released", str, enum=["true", "false"], description="Whether it routes nowhere any more.")


@extend_schema_view(
    list=extend_schema(summary="List numbers", parameters=[BY_PHONE, BY_RELEASED, BY_METADATA]),
    retrieve=extend_schema(summary="Fetch a number"),
)
class NumberViewSet(ListMixin, RetrieveMixin, ResourceViewSet):
    """Numbers that calls come in by and go out from."""

    prefix = PhoneNumber.public_prefix
    scopes = {
        **dict.fromkeys(("list", "retrieve"), READ),
        **dict.fromkeys(("create", "partial_update", "destroy", "rotate_hook_secret"), WRITE),
    }
    serializer_class = Shape
    filterset_class = NumberFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = PhoneNumber.objects.select_related("grant")
        return rows

    @extend_schema(summary="Add a number", request=Shape, responses={201: WithSecret}, examples=[EXAMPLE])
    def create(self, request: Request) -> Response:
        """Of a trunk you may use, at whose carrier you have it. Nothing is bought.

        With a `hook_url` the secret that signs its questions is in the answer, this once; so an Idempotency-Key is not
        taken. A number that was added already is refused with `number_taken`, so that repeating a request does no harm.
        """
        with _named():
            row = numbers.add_number(**self.body(Shape, request))
        return self._answer(row, secret_of=row, status=201)

    @extend_schema(summary="Change a number", request=Shape(partial=True), responses=WithSecret, examples=[CHANGE_EXAMPLE])
    def partial_update(self, request: Request, id: str) -> Response:
        """Anything but the number itself. When it gets its first `hook_url`, the answer has `hook_secret`, this once."""
        with transaction.atomic(), _named():
            before = self._locked(request, id)
            row = numbers.change_number(number=before, **self.body(Shape, request, partial=True))
        return self._answer(row, secret_of=row if before.hook_secret is None else None)

    @extend_schema(summary="Release a number", responses={204: None})
    @transaction.atomic
    def destroy(self, request: Request, id: str) -> Response:
        """It routes nowhere from now on, and stays as history. At the carrier nothing changes."""
        numbers.release_number(number=self._locked(request, id))
        return Response(status=204)

    @extend_schema(summary="Rotate the hook's secret", request=None, responses=WithSecret)
    @action(detail=True, methods=["post"])
    def rotate_hook_secret(self, request: Request, id: str) -> Response:
        """The new secret is in the answer, this once; the old one signs nothing from now on."""
        row = self.get_object()
        numbers.rotate_hook_secret(number=row)
        row.refresh_from_db()
        return self._answer(row, secret_of=row)

    def _locked(self, request: Request, id: str) -> PhoneNumber:
        row: PhoneNumber = self.row(self.rows().select_for_update(no_key=True, of=("self",)), self.prefix, id)
        require_match(request, row)
        return row

    def _answer(self, row: PhoneNumber, *, secret_of: PhoneNumber | None, status: int = 200) -> Response:
        secret = secret_of.hook_secret if secret_of else None
        fresh = self.rows().get(pk=row.pk)
        body = {**Shape(fresh).data, "hook_secret": secret.reveal() if secret else None}
        return Response(body, status=status, headers=etag_headers(fresh))


@contextmanager
def _named() -> Iterator[None]:
    """Refusals by the names the API gives the fields."""
    try:
        yield
    except ValidationError as error:
        told: dict[str, Any] = error.message_dict
        raise ValidationError({_NAMES.get(name, name): messages for name, messages in told.items()}) from error
