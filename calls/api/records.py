"""What was said and done in one call, and what it used."""

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import serializers as shapes
from calls.api.sequences import SEQUENCE_PARAMETERS, listed, page_by_sequence, whole
from calls.api.stream import STREAM_PARAMETERS, StreamQuerySerializer, StreamSerializer, stream_page
from calls.api.waiting import WAITING, no_place
from calls.models import Call, ToolCall, Turn
from calls.selectors import cost_lines
from calls.services.stream import read_stream, wait_for_news
from calls.services.transcripts import FORMATS, write_transcript
from voiceplatform.lib.api.fields import StrictSerializer
from voiceplatform.lib.api.filters import refuse_unknown

_FORMAT: Final = OpenApiParameter(
    "format", str, enum=list(FORMATS), description="The whole transcript as a file, without `after` and `limit`."
)
_TRANSCRIPT: Final = {
    (200, "application/json"): listed(shapes.TurnSerializer),
    **{(200, known.content_type): OpenApiTypes.STR for known in FORMATS.values() if known.content_type != "application/json"},
}


class _FileSerializer(StrictSerializer):
    format = serializers.ChoiceField(choices=list(FORMATS))


def transcript_file(call: Call, asked: Mapping[str, str]) -> HttpResponse:
    """Raises ValidationError for anything else that is asked for."""
    given = _FileSerializer(data=asked)
    given.is_valid(raise_exception=True)
    known = FORMATS[given.validated_data["format"]]
    name = f'attachment; filename="{call.public_id}.{known.extension}"'
    headers = {"Content-Disposition": name, "Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    text = write_transcript(call, format=given.validated_data["format"])
    return HttpResponse(text, content_type=f"{known.content_type}; charset=utf-8", headers=headers)


class CallRecordsMixin:
    """Reads below the address of a call."""

    @extend_schema(summary="Read the transcript", responses=_TRANSCRIPT, parameters=[*SEQUENCE_PARAMETERS, _FORMAT])
    @action(detail=True, filterset_class=None, pagination_class=None)
    def transcript(self: Any, request: Request, id: str) -> Response | HttpResponse:
        """In order. To watch a running call, pass the last `sequence` you have as `after`; what was said last may
        still be corrected until the call is finalized. With `format` the whole of it is a file; subtitles fit the recording.
        """
        if "format" in request.query_params:
            return transcript_file(self.get_object(), request.query_params.dict())
        return page_by_sequence(request, Turn.objects.filter(call=self.get_object()), shapes.TurnSerializer)

    @extend_schema(summary="List tool calls", responses=listed(shapes.ToolCallSerializer), parameters=SEQUENCE_PARAMETERS)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def tool_calls(self: Any, request: Request, id: str) -> Response:
        return page_by_sequence(request, ToolCall.objects.filter(call=self.get_object()), shapes.ToolCallSerializer)

    @extend_schema(summary="Follow a call", responses=StreamSerializer(many=False), parameters=STREAM_PARAMETERS)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def events(self: Any, request: Request, id: str) -> Response:
        """Status changes and other events, turns and uses of tools, in the order in which they became known. A turn whose words
        were corrected comes again. Go on from `cursor`; with `wait`, the answer comes as soon as there is something new."""
        asked = StreamQuerySerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        call, wait_s = self.get_object(), asked.validated_data.pop("wait")
        if not wait_s:
            return stream_page(request, read_stream(call.pk, **asked.validated_data))
        with WAITING.place(self.caller.key_id) as got:
            if not got:
                raise no_place()
            return stream_page(request, wait_for_news(call.pk, timeout_s=wait_s, **asked.validated_data))

    @extend_schema(summary="List what a call used and cost", responses=listed(shapes.CostLineSerializer))
    @action(detail=True, filterset_class=None, pagination_class=None)
    def usage(self: Any, request: Request, id: str) -> Response:
        refuse_unknown(request, [])
        return whole(shapes.CostLineSerializer(cost_lines(self.get_object()), many=True).data)
