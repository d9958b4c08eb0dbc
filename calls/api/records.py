"""What was said and done in one call, and what it used."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import serializers as shapes
from calls.api.sequences import SEQUENCE_PARAMETERS, listed, page_by_sequence, whole
from calls.models import CallEvent, ToolCall, Turn
from calls.selectors import cost_lines
from voiceplatform.lib.api.filters import refuse_unknown


class CallRecordsMixin:
    """Reads below the address of a call."""

    @extend_schema(summary="Read the transcript", responses=listed(shapes.TurnSerializer), parameters=SEQUENCE_PARAMETERS)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def transcript(self: Any, request: Request, id: str) -> Response:
        """In order. To watch a running call, pass the last `sequence` you have as `after`; what was said last may
        still be corrected until the call is finalized."""
        return page_by_sequence(request, Turn.objects.filter(call=self.get_object()), shapes.TurnSerializer)

    @extend_schema(summary="List tool calls", responses=listed(shapes.ToolCallSerializer), parameters=SEQUENCE_PARAMETERS)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def tool_calls(self: Any, request: Request, id: str) -> Response:
        return page_by_sequence(request, ToolCall.objects.filter(call=self.get_object()), shapes.ToolCallSerializer)

    @extend_schema(summary="List what happened to a call", responses=shapes.CallEventSerializer(many=True))
    @action(detail=True, filterset_class=None)
    def events(self: Any, request: Request, id: str) -> Response:
        page: Response = self.page_of(CallEvent.objects.filter(call=self.get_object()), shapes.CallEventSerializer)
        return page

    @extend_schema(summary="List what a call used and cost", responses=listed(shapes.CostLineSerializer))
    @action(detail=True, filterset_class=None, pagination_class=None)
    def usage(self: Any, request: Request, id: str) -> Response:
        refuse_unknown(request, [])
        return whole(shapes.CostLineSerializer(cost_lines(self.get_object()), many=True).data)
