"""What calls leave behind: messages and recordings."""

from typing import Any, Final

from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from calls.api import serializers as shapes
from calls.api.filters import MessageFilters, RecordingFilters
from calls.errors import InvalidLinkError
from calls.models import Message, Recording
from calls.services.messages import mark_read
from calls.services.recording_links import LISTEN, open_link, sign_link
from calls.services.trimming import ask_for_trimmed
from calls.streaming import serve_recording
from tenants.api.authentication import CALLER_ATTRIBUTE
from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet
from tenants.api.throttling import count_request
from tenants.caller import Caller
from tenants.scope import tenant_scope
from voiceplatform.lib.api.problems import Refusal, declare

RANGE: Final = declare("range_not_satisfiable", "The Range lies outside the file; the header Content-Range gives its size.")
_TOKEN: Final = OpenApiParameter("token", str, required=True, description="From the link.")
_SOUND: Final = {(200, "audio/ogg"): OpenApiTypes.BINARY, (206, "audio/ogg"): OpenApiTypes.BINARY}


@extend_schema_view(list=extend_schema(summary="List messages"))
class MessageViewSet(ListMixin, ResourceViewSet):
    """What callers asked to be passed on."""

    prefix = Message.public_prefix
    scopes = {"list": "calls:read", "retrieve": "calls:read", "mark_read": "calls:write"}
    serializer_class = shapes.MessageSerializer
    filterset_class = MessageFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = Message.objects.all()
        return rows

    @extend_schema(summary="Fetch a message")
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(summary="Mark a message as read", request=None, responses=shapes.MessageSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def mark_read(self, request: Request, id: str) -> Response:
        """Repeating it changes nothing."""
        message = self.get_object()
        mark_read(messages=[message])
        message.refresh_from_db()
        return Response(self.get_serializer(message).data)


@extend_schema_view(list=extend_schema(summary="List recordings"))
class RecordingViewSet(ListMixin, ResourceViewSet):
    prefix = Recording.public_prefix
    scopes = dict.fromkeys(("list", "retrieve", "url", "trim", "content"), LISTEN)
    serializer_class = shapes.RecordingSerializer
    filterset_class = RecordingFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = Recording.objects.all()
        return rows

    @extend_schema(summary="Fetch a recording")
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(summary="Have a copy without silences made", request=None, responses={202: shapes.RecordingSerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def trim(self, request: Request, id: str) -> Response:
        """Made once, within a minute or so: fetch the recording again until `trimmed.state` is made. The original stays."""
        return Response(self.get_serializer(ask_for_trimmed(self.get_object())).data, status=202)

    @extend_schema(
        summary="Make a link to listen by", request=shapes.RecordingLinkSerializer, responses=shapes.RecordingUrlSerializer
    )
    @action(detail=True, methods=["post"])
    def url(self, request: Request, id: str) -> Response:
        """It opens without a key for 15 minutes, as long as the recording and this key's permission last."""
        trimmed = self.body(shapes.RecordingLinkSerializer, request)["trimmed"]
        link = sign_link(self.get_object(), caller=self.caller, trimmed=trimmed)
        address = reverse("recording-content", kwargs={"id": id}, request=request)
        return Response({"url": f"{address}?token={link.token}", "expires_at": link.expires_at})

    @extend_schema(summary="Listen to a recording", parameters=[_TOKEN], responses=_SOUND, auth=[])
    @action(detail=True, authentication_classes=[], permission_classes=[], filterset_class=None, pagination_class=None)
    def content(self, request: Request, id: str) -> HttpResponseBase:
        """Needs no key but the link's token. Answers HEAD, and ranges, so that a player can seek."""
        opened = open_link(request.query_params.get("token", ""), recording_id=self.row_id(self.prefix, id))
        listener = opened.caller
        if isinstance(known := getattr(request, CALLER_ATTRIBUTE, None), Caller) and known.tenant_id != listener.tenant_id:
            raise InvalidLinkError("This link is another account's than the API key sent along.")
        self._count(listener)
        with tenant_scope(listener.tenant_id):
            stored = self.rows().filter(state=Recording.State.STORED)
            found = stored.filter(copy=Recording.Copy.MADE) if opened.trimmed else stored
            recording = found.filter(pk=self.row_id(self.prefix, id)).first()
        if recording is None:
            raise Http404("This recording is gone.")
        response = serve_recording(request, recording, trimmed=opened.trimmed)
        if response.status_code == 416:
            raise Refusal(416, RANGE, "The range lies outside the file.", headers={"Content-Range": response["Content-Range"]})
        return response

    def check_throttles(self, request: Request) -> None:
        # Who listens through a link is known only once the link is opened.
        if self.action != "content":
            super().check_throttles(request)

    def _count(self, listener: Caller) -> None:
        self.allowance = count_request(listener, costs_money=False)
        if self.allowance and self.allowance.is_exceeded:
            raise Throttled(wait=self.allowance.resets_in_s)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # A player asks for audio; the renderer is for refusals only.
        return super().perform_content_negotiation(request, force=force or self.action == "content")
