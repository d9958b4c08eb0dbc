"""Lists in cursor pages: stable while rows are added, and never counted."""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import BasePagination, Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from voiceplatform.lib.api.problems import Refusal

LARGEST: Final = 100
NEWEST, OLDEST = "-created_at", "created_at"
_ORDERS: Final = {NEWEST: "-id", OLDEST: "id"}


class IdPages(CursorPagination):
    """Newest first. Ids are UUIDv7, so their order is that of creation, and a cursor is the last id seen."""

    page_size = 20
    page_size_query_param = "limit"
    page_size_query_description = f"Rows per page, 1 to {LARGEST}."
    max_page_size = LARGEST
    default_order = NEWEST
    cursor_query_description = "Where to go on; taken from `next` of the page before."

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get("limit")
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdigit() and 1 <= int(given[:6]) <= LARGEST and len(given) <= 6):
            raise _refused("limit", f"A whole number from 1 to {LARGEST}.")
        return int(given)

    def get_ordering(self, request: Request, queryset: QuerySet, view: Any) -> tuple[str, ...]:
        given = request.query_params.get("ordering", self.default_order)
        if given not in _ORDERS:
            raise _refused("ordering", f"Use {NEWEST} (newest first) or {OLDEST} (oldest first).")
        return (_ORDERS[given],)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None:
                UUID(str(cursor.position))
        except (NotFound, ValueError, TypeError) as error:
            raise _refused("cursor", "This cursor is damaged. Take it from `next` as it stands.") from error
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        following = self.get_next_link()
        return Response({"object": "list", "data": data, "has_more": following is not None, "next": following})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        following = {"type": ["string", "null"], "format": "uri", "description": "Address of the next page."}
        return _envelope({**schema, "description": "The rows of this page, newest first."}, {"type": "boolean"}, following)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        ordering = {
            "name": "ordering",
            "in": "query",
            "required": False,
            "description": "Newest or oldest first.",
            "schema": {"type": "string", "enum": list(_ORDERS), "default": self.default_order},
        }
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in found:
            if parameter["name"] == "limit":
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": self.page_size}
        return [*found, ordering]


class OldestFirst(IdPages):
    """For what is read in the order in which it came about."""

    default_order = OLDEST


class WholeList(BasePagination):
    """A short list that is always given whole, in the envelope of the others."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        return list(queryset)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"object": "list", "data": data, "has_more": False, "next": None})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return _envelope({**schema, "description": "All there are."}, {"type": "boolean", "const": False}, {"type": "null"})


def _envelope(data: dict[str, Any], has_more: dict[str, Any], following: dict[str, Any]) -> dict[str, Any]:
    names = {"object": {"type": "string", "const": "list"}, "data": data, "has_more": has_more, "next": following}
    return {"type": "object", "required": list(names), "properties": names}


def _refused(param: str, message: str) -> Refusal:
    return Refusal(400, "invalid", f"{param}: {message}", params={param: message})
