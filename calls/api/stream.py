"""A call's stream as the API shows it."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from calls.api.sequences import MOST
from calls.api.serializers import CallEventSerializer, ToolCallSerializer, TurnSerializer
from calls.models import Call, CallEvent, ToolCall, Turn
from calls.services.stream import Page, Row
from voiceplatform.lib.api.fields import StrictSerializer

LONGEST_WAIT_S: Final = 30
TYPES: Final = ("status", "event", "turn", "tool_call")
STATUS, EVENT, TURN, TOOL_CALL = TYPES
_LARGEST: Final = 2**63 - 1

STREAM_PARAMETERS: Final = [
    OpenApiParameter("after", int, description="Only what comes after this `cursor` or `position`."),
    OpenApiParameter("limit", int, description=f"At most so many, 1 to {MOST}."),
    OpenApiParameter("wait", int, description=f"Wait for something new, at most so many seconds, 0 to {LONGEST_WAIT_S}."),
]


class StreamQuerySerializer(StrictSerializer):
    after = serializers.IntegerField(default=0, min_value=0, max_value=_LARGEST)
    limit = serializers.IntegerField(default=100, min_value=1, max_value=MOST)
    wait = serializers.IntegerField(default=0, min_value=0, max_value=LONGEST_WAIT_S)


class StreamItemSerializer(StrictSerializer):
    """One of `event`, `turn` and `tool_call` is there, as `type` says; a change of the call's status is an event, too."""

    position = serializers.IntegerField(read_only=True, help_text="Its place in the call's stream.")
    type = serializers.SerializerMethodField()
    event = serializers.SerializerMethodField()
    turn = serializers.SerializerMethodField()
    tool_call = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=TYPES))
    def get_type(self, row: Row) -> str:
        if isinstance(row, CallEvent):
            return STATUS if row.kind in Call.Status.values else EVENT
        return TURN if isinstance(row, Turn) else TOOL_CALL

    @extend_schema_field(CallEventSerializer(allow_null=True))
    def get_event(self, row: Row) -> Any:
        return CallEventSerializer(row).data if isinstance(row, CallEvent) else None

    @extend_schema_field(TurnSerializer(allow_null=True))
    def get_turn(self, row: Row) -> Any:
        return TurnSerializer(row).data if isinstance(row, Turn) else None

    @extend_schema_field(ToolCallSerializer(allow_null=True))
    def get_tool_call(self, row: Row) -> Any:
        return ToolCallSerializer(row).data if isinstance(row, ToolCall) else None


class StreamSerializer(StrictSerializer):
    object = serializers.ChoiceField(choices=["list"], read_only=True)
    data = StreamItemSerializer(many=True, read_only=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField(read_only=True)
    next = serializers.URLField(read_only=True, allow_null=True, help_text="Address of the next page.")
    cursor = serializers.IntegerField(read_only=True, help_text="Ask for what comes `after` this.")
    is_over = serializers.BooleanField(read_only=True, help_text="The call's record is complete: nothing will come after this.")


def stream_page(request: Request, page: Page) -> Response:
    following = replace_query_param(request.build_absolute_uri(), "after", page.cursor) if page.has_more else None
    return Response(
        {
            "object": "list",
            "data": StreamItemSerializer(page.rows, many=True).data,
            "has_more": page.has_more,
            "next": following,
            "cursor": page.cursor,
            "is_over": page.is_over,
        }
    )
