"""What every resource of the API is made of."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import Http404
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from tenants.api.authentication import caller_of
from tenants.api.throttling import Allowance, count_request
from tenants.caller import Caller
from tenants.models import Tenant
from voiceplatform.lib.api.filters import refuse_unknown
from voiceplatform.lib.api.pages import WholeList
from voiceplatform.lib.api.problems import Refusal, declare
from voiceplatform.lib.ids import InvalidIdError, from_public_id

LIVE_KEY_NEEDED = declare("live_key_needed", "This takes a live key: vp_live_….")
PRECONDITION_FAILED = declare("precondition_failed", "It was changed since you read it: fetch it again, then repeat the change.")


class ResourceViewSet(GenericViewSet):
    """Rows of the tenant in scope, found by public id.

    A subclass gives `prefix`, `scopes` for each action and `rows()`, which is asked inside the request; `costly` names
    the actions that are refused while requests cannot be counted. `model` tells the OpenAPI document what `rows()` are,
    where they cannot be asked for without a request.
    """

    model: ClassVar[type[Model] | None] = None

    prefix: ClassVar[str] = ""
    scopes: ClassVar[Mapping[str, str]] = {}
    costly: ClassVar[frozenset[str]] = frozenset()
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    allowance: Allowance | None = None

    @property
    def caller(self) -> Caller:
        return caller_of(self.request)

    def require_live_key(self, why: str, *, param: str | None = None) -> None:
        """Raises Refusal for a test key; `why` says what it cannot do, `param` which field asked for that."""
        if not self.caller.livemode:
            raise Refusal(403, LIVE_KEY_NEEDED, why, params={param: why} if param else {})

    def rows(self) -> QuerySet:
        raise NotImplementedError

    def get_queryset(self) -> QuerySet:
        if self.model is not None and getattr(self, "swagger_fake_view", False):
            return self.model._default_manager.none()
        return self.rows()

    def get_object(self) -> Any:
        return self.row(self.rows(), self.prefix, self.kwargs["id"])

    def row(self, rows: QuerySet, prefix: str, public_id: str) -> Any:
        """The row of that public id. Raises Http404, in the same words, for malformed, missing and foreign ids."""
        row = rows.filter(pk=self.row_id(prefix, public_id)).first()
        if row is None:
            raise Http404(f"There is no {public_id[:60]}.")
        self.check_object_permissions(self.request, row)
        return row

    def row_id(self, prefix: str, public_id: str) -> UUID:
        try:
            return from_public_id(prefix, public_id)
        except InvalidIdError as error:
            raise Http404(f"{public_id[:60]!r} is not an id of the form {prefix}_….") from error

    def check_throttles(self, request: Request) -> None:
        if self.action is None or request.method == "OPTIONS":
            return
        self.allowance = count_request(caller_of(request), costs_money=self.action in self.costly)
        if self.allowance and self.allowance.is_exceeded:
            raise Throttled(wait=self.allowance.resets_in_s)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        for name, value in (self.allowance.headers() if self.allowance else {}).items():
            response[name] = value
        done: Response = super().finalize_response(request, response, *args, **kwargs)
        return done

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204)

    def body(self, serializer: type[BaseSerializer], request: Request, **options: Any) -> Any:
        """The request's body, checked. Raises ValidationError."""
        checked = serializer(data=request.data, context=self.get_serializer_context(), **options)
        checked.is_valid(raise_exception=True)
        return checked.validated_data

    def page_of(self, rows: QuerySet, serializer: type[BaseSerializer]) -> Response:
        """One page of `rows`, which take no filters but those of paging."""
        refuse_unknown(self.request, [])
        page = self.paginate_queryset(rows)
        shown: Any = serializer(page, many=True, context=self.get_serializer_context())
        answer: Response = self.get_paginated_response(shown.data)
        return answer


class CatalogueViewSet(ResourceViewSet):
    """Things of the code rather than rows: short lists, whole in one answer."""

    pagination_class: Any = WholeList
    filter_backends = ()

    def rows(self) -> QuerySet:
        return Tenant.objects.none()

    def entries(self) -> Iterable[Mapping[str, Any]]:
        raise NotImplementedError

    def list(self, request: Request) -> Response:
        refuse_unknown(request, [])
        shown: Any = self.get_serializer(list(self.entries()), many=True)
        answer: Response = self.get_paginated_response(shown.data)
        return answer


class ListMixin:
    def list(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        answer: Response = self.get_paginated_response(self.get_serializer(page, many=True).data)
        return answer


class RetrieveMixin:
    def retrieve(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        return Response(self.get_serializer(row).data, headers=etag_headers(row))


def etag_of(row: Model) -> str:
    """Changes whenever a column of the row does, but for those its model calls `unversioned`."""
    left_out: frozenset[str] = getattr(row, "unversioned", frozenset())
    names = [field.attname for field in row._meta.concrete_fields if field.attname not in left_out]
    # The database gives JSON back in an order of its own.
    text = json.dumps({name: getattr(row, name) for name in names}, sort_keys=True, default=repr)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def etag_headers(row: Model) -> dict[str, str]:
    return {"ETag": etag_of(row)}


def require_match(request: Request, row: Model) -> None:
    """Raises Refusal when `If-Match` names another state; `row` is locked, so that it stays what was compared."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    if etag_of(row) not in [tag.strip().removeprefix("W/") for tag in wanted.split(",")]:
        detail = "It was changed since you read it. Fetch it again, then repeat the change."
        raise Refusal(412, PRECONDITION_FAILED, detail, headers=etag_headers(row))
