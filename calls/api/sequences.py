"""Lists in the order of a conversation, read on from the last number seen."""

from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema_serializer, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from voiceplatform.lib.api.fields import StrictSerializer

MOST: Final = 500
_LARGEST: Final = 2**31 - 1

SEQUENCE_PARAMETERS: Final = [
    OpenApiParameter("after", int, description="Only what comes after this `sequence`."),
    OpenApiParameter("limit", int, description=f"At most so many, 1 to {MOST}."),
]


class SequenceSerializer(StrictSerializer):
    after = serializers.IntegerField(default=-1, min_value=-1, max_value=_LARGEST)
    limit = serializers.IntegerField(default=100, min_value=1, max_value=MOST)


def page_by_sequence(request: Request, rows: QuerySet, serializer: type[serializers.BaseSerializer]) -> Response:
    """One page of `rows`, which have a `sequence`. Raises ValidationError for parameters that do not fit."""
    asked = SequenceSerializer(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    after, limit = asked.validated_data["after"], asked.validated_data["limit"]
    found = list(rows.filter(sequence__gt=after).order_by("sequence")[: limit + 1])
    page = found[:limit]
    following = replace_query_param(request.build_absolute_uri(), "after", page[-1].sequence) if len(found) > limit else None
    return _list(serializer(page, many=True).data, following)


def listed(serializer: type[serializers.BaseSerializer]) -> Any:
    """For the description of the API: a list of such things."""
    fields = {
        "object": serializers.ChoiceField(choices=["list"]),
        "data": serializer(many=True),
        "has_more": serializers.BooleanField(),
        "next": serializers.URLField(allow_null=True, help_text="Address of the next page."),
    }
    described = inline_serializer(f"{serializer.__name__.removesuffix('Serializer')}List", fields)
    extend_schema_serializer(many=False)(type(described))
    return described


def whole(data: Any) -> Response:
    """A list that is always given as a whole."""
    return _list(data, None)


def _list(data: Any, following: str | None) -> Response:
    return Response({"object": "list", "data": data, "has_more": following is not None, "next": following})
