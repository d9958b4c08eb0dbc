"""Conversations in writing."""

from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.serializers import VersionNameField
from agents.models import Agent
from agents.selectors import find_version
from calls.api import errors as _errors  # noqa: F401 - registers what they mean
from calls.api.serializers import CallSerializer, OverridesSerializer, TurnSerializer, VariablesField
from calls.api.views import shown_calls
from calls.api.waiting import WAITING
from calls.endings import why_it_ended
from calls.errors import CallEndedError
from calls.models import Call, CallCommand, Turn
from calls.services.chats import LONGEST_MESSAGE, start_chat, turns_of, wait_for_answer, write_message
from tenants.api.idempotency import idempotent, replay_headers, takes_key
from tenants.api.resources import ResourceViewSet
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, StrictSerializer

LONGEST_WAIT_S: Final = 25


class WaitField(serializers.IntegerField):
    def __init__(self, **options: Any) -> None:
        told = "How long to wait for the answer, in seconds."
        super().__init__(default=LONGEST_WAIT_S, min_value=0, max_value=LONGEST_WAIT_S, help_text=told, **options)


class NewMessageSerializer(StrictSerializer):
    text = serializers.CharField(max_length=LONGEST_MESSAGE, help_text="What the caller writes.")
    wait_s = WaitField()


class NewChatSerializer(StrictSerializer):
    version = VersionNameField(
        required=False,
        help_text="`draft`, `published`, a number or an id; the published one unless told otherwise, and else the draft.",
    )
    message = serializers.CharField(required=False, max_length=LONGEST_MESSAGE, help_text="The caller's first message.")
    wait_s = WaitField()
    variables = VariablesField()
    overrides = OverridesSerializer(required=False)
    metadata = MetadataField(default=dict, help_text="Up to 50 texts of your own, echoed everywhere.")


class ChatMessageSerializer(StrictSerializer):
    """A message, and what the agent has said to it."""

    id = PublicIdField(CallCommand.public_prefix, source="pk", read_only=True)
    call_id = PublicIdField(Call.public_prefix, read_only=True)
    state = serializers.SerializerMethodField(help_text="unanswered: the chat has ended before.")
    reply = serializers.SerializerMethodField(help_text="What the agent said, as one text; null until it is answered.")
    turns = serializers.SerializerMethodField(help_text="The message and the agent's turns as the transcript has them.")
    created_at = serializers.DateTimeField(read_only=True)
    answered_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def to_representation(self, message: CallCommand) -> Any:
        self._turns = list(turns_of(message))
        return super().to_representation(message)

    @extend_schema_field(serializers.ChoiceField(choices=["waiting", "answered", "unanswered"]))
    def get_state(self, message: CallCommand) -> str:
        if message.answered_at:
            return "answered"
        return "unanswered" if message.call.status == Call.Status.ENDED else "waiting"

    def get_reply(self, message: CallCommand) -> str | None:
        said = [turn.text for turn in self._turns if turn.speaker == Turn.Speaker.AGENT]
        return " ".join(said) if message.answered_at else None

    @extend_schema_field(TurnSerializer(many=True))
    def get_turns(self, message: CallCommand) -> Any:
        return TurnSerializer(self._turns, many=True).data


class ChatSerializer(StrictSerializer):
    call = CallSerializer(read_only=True)
    message = ChatMessageSerializer(read_only=True, allow_null=True)


_CHAT: Final = OpenApiExample(
    "A question to the draft", value={"version": "draft", "message": "When do you open?"}, request_only=True
)
_MESSAGE: Final = OpenApiExample("A question", value={"text": "And on Saturdays?"}, request_only=True)


class AgentChatViewSet(ResourceViewSet):
    """Chats begin below their agent."""

    prefix = Agent.public_prefix
    scopes = {"chat": "agents:write"}
    costly = frozenset({"chat"})
    serializer_class = ChatSerializer

    def rows(self) -> QuerySet:
        rows: QuerySet = Agent.objects.select_related("tenant", "published_version__agent", "published_version__tenant")
        return rows

    @extend_schema(summary="Start a chat", request=NewChatSerializer, responses={201: ChatSerializer}, examples=[_CHAT])
    @action(detail=True, methods=["post"])
    @takes_key
    def chat(self, request: Request, id: str) -> Response:
        """The same conversation as a call, in writing; it is a test call, and closes five minutes after the last message.
        With `message`, the answer comes with this one if it is there in `wait_s` seconds; else fetch the message again."""
        wanted = self.body(NewChatSerializer, request)
        wait_s = wanted.pop("wait_s")
        started = self._start(request, wanted)
        message_id = started.data["message_id"]
        message = wait(self._message(message_id), wait_s=wait_s) if message_id else None
        call = shown_calls().get(pk=self.row_id(Call.public_prefix, started.data["call_id"]))
        return Response(ChatSerializer({"call": call, "message": message}).data, status=201, headers=replay_headers(started))

    @idempotent
    def _start(self, request: Request, wanted: dict[str, Any]) -> Response:
        agent = self.get_object()
        if (called := wanted.get("version")) is not None:
            wanted["version"] = find_version(agent, called)
            if wanted["version"] is None:
                missing = serializers.ErrorDetail(f"{agent.name} has no version {called[:60]!r}.", "does_not_exist")
                raise serializers.ValidationError({"version": missing})
        call, message = start_chat(agent=agent, **wanted)
        return Response({"call_id": call.public_id, "message_id": message.public_id if message else None})

    def _message(self, message_id: str) -> CallCommand:
        message: CallCommand = CallCommand.objects.get(pk=self.row_id(CallCommand.public_prefix, message_id))
        return message


class ChatMessageViewSet(ResourceViewSet):
    """Messages of a chat."""

    prefix = Call.public_prefix
    scopes = {"write_message": "calls:write", "message": "calls:read"}
    costly = frozenset({"write_message"})
    serializer_class = ChatMessageSerializer

    def rows(self) -> QuerySet:
        rows: QuerySet = Call.objects.all()
        return rows

    @extend_schema(
        summary="Write into a chat",
        request=NewMessageSerializer,
        responses={200: ChatMessageSerializer, 202: ChatMessageSerializer},
        examples=[_MESSAGE],
    )
    @action(detail=True, methods=["post"], url_path="messages")
    @takes_key
    def write_message(self, request: Request, id: str) -> Response:
        """Answers with the agent's reply, or with 202 when that takes longer than `wait_s`: then fetch the message."""
        wanted = self.body(NewMessageSerializer, request)
        written = self._write(request, wanted["text"])
        message = wait(self._message(written.data["id"]), wait_s=wanted["wait_s"])
        if message.call.status == Call.Status.ENDED and not message.answered_at:
            raise CallEndedError(f"The chat ended before it answered. {why_it_ended(message.call)}")
        status = 200 if message.answered_at else 202
        return Response(ChatMessageSerializer(message).data, status=status, headers=replay_headers(written))

    @idempotent
    def _write(self, request: Request, text: str) -> Response:
        message = write_message(self.get_object(), text)
        return Response({"id": message.public_id}, status=202)

    @extend_schema(summary="Fetch a message of a chat", responses=ChatMessageSerializer)
    @action(detail=True, methods=["get"], url_path="messages/(?P<message_id>[^/]+)")
    def message(self, request: Request, id: str, message_id: str) -> Response:
        return Response(ChatMessageSerializer(self._message(message_id)).data)

    def _message(self, message_id: str) -> CallCommand:
        written = CallCommand.objects.filter(kind=CallCommand.Kind.MESSAGE, call=self.get_object()).select_related("call")
        message: CallCommand = self.row(written, CallCommand.public_prefix, message_id)
        return message


def wait(message: CallCommand, *, wait_s: int) -> CallCommand:
    """The message once it is answered or its chat has ended; as it is, when that takes longer or too many wait already."""
    with WAITING.place() as got:
        return wait_for_answer(message, timeout_s=wait_s if got else 0)
