"""Steering a running call: what is asked of its agent, and what became of it."""

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import TransferTarget
from calls.api import errors as _errors  # noqa: F401 - registers what they mean
from calls.api.serializers import WordField
from calls.models import Call, CallCommand
from calls.services import actions
from calls.services.actions import AFTER_SPEECH, BLIND, KINDS, NOW, WARM, Wanted, request_action
from tenants.api.idempotency import idempotent
from tenants.api.resources import ResourceViewSet
from voiceplatform.lib.api.fields import PublicIdField, RowField, StrictSerializer

Kind = CallCommand.Kind
_FIELDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SAY: ("text", "when", "interruptible"),
    Kind.INSTRUCT: ("text",),
    Kind.TRANSFER: ("target_id", "to", "mode", "text", "summary"),
    Kind.SEND_DTMF: ("digits",),
    Kind.HANG_UP: ("text",),
}
_NEEDED: Final[Mapping[Kind, str]] = {Kind.SAY: "text", Kind.INSTRUCT: "text", Kind.SEND_DTMF: "digits"}
TYPES: Final = [kind.value for kind in KINDS]


def _targets() -> QuerySet:
    rows: QuerySet = TransferTarget.objects.select_related("tenant")
    return rows


class NewActionSerializer(StrictSerializer):
    """`type` says which of the other fields there are."""

    type = serializers.ChoiceField(choices=TYPES)
    text = serializers.CharField(
        required=False,
        max_length=actions.LONGEST_TEXT,
        help_text="say: what is said. instruct: what holds from now on, unspoken. transfer, hang_up: said before it.",
    )
    when = serializers.ChoiceField(
        required=False, choices=[NOW, AFTER_SPEECH], help_text=f"say: breaking off what the agent says, or after it; {NOW}."
    )
    interruptible = serializers.BooleanField(required=False, help_text="say: whether the caller may break in; true.")
    target_id = RowField(
        _targets,
        prefix=TransferTarget.public_prefix,
        required=False,
        help_text="transfer: whom to, one of GET /transfer_targets.",
    )
    to = serializers.CharField(
        required=False, max_length=40, help_text="transfer: a phone instead of a target, as +15125550143; blind only."
    )
    mode = serializers.ChoiceField(
        required=False,
        choices=[BLIND, WARM],
        help_text=f"transfer: {WARM} introduces the caller first; the target's own unless given.",
    )
    summary = serializers.CharField(
        required=False,
        max_length=actions.LONGEST_SUMMARY,
        help_text=f"transfer, {WARM}: what it is about, told to the person before they have the caller.",
    )
    digits = serializers.CharField(
        required=False, max_length=32, help_text="send_dtmf: 0-9, *, # and w, which waits half a second."
    )
    reason = serializers.CharField(default="", allow_blank=True, max_length=500, help_text="Kept in the audit.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        kind = Kind(given["type"])
        mine = _FIELDS.get(kind, ())
        errors = {
            name: serializers.ErrorDetail(f"An action of type {kind} has none.", "invalid")
            for name in given
            if name not in ("type", "reason", *mine)
        }
        if (needed := _NEEDED.get(kind)) and needed not in given:
            errors[needed] = serializers.ErrorDetail(f"An action of type {kind} needs it.", "required")
        if errors:
            raise serializers.ValidationError(errors)
        return given


class ActionSerializer(StrictSerializer):
    id = PublicIdField(CallCommand.public_prefix, source="pk", read_only=True)
    call_id = PublicIdField(Call.public_prefix, read_only=True)
    type = serializers.ChoiceField(choices=TYPES, source="kind", read_only=True)
    state = serializers.ChoiceField(
        choices=CallCommand.State.choices, read_only=True, help_text="waiting: accepted, and not yet with the call's worker."
    )
    failed_because = WordField(source="outcome_reason", help_text="A word for why it failed, such as call_ended or interrupted.")
    created_at = serializers.DateTimeField(read_only=True)
    taken_at = serializers.DateTimeField(read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(read_only=True, allow_null=True)


_EXAMPLES: Final = [
    OpenApiExample("Say", value={"type": "say", "text": "We have just had a cancellation at four."}, request_only=True),
    OpenApiExample("Instruct", value={"type": "instruct", "text": "Offer a discount of 10 %."}, request_only=True),
    OpenApiExample(
        "Transfer",
        value={"type": "transfer", "target_id": "tgt_01kaswrzaafgx9y3jv3mn6x3t1", "summary": "Asks about invoice 7."},
        request_only=True,
    ),
    OpenApiExample("Digits", value={"type": "send_dtmf", "digits": "1w1234#"}, request_only=True),
]


class CallActionViewSet(ResourceViewSet):
    """Actions below their call."""

    prefix = Call.public_prefix
    scopes = {"actions": "calls:read", "act": "calls:control", "one_action": "calls:read"}
    costly = frozenset({"act"})
    serializer_class = ActionSerializer

    def rows(self) -> QuerySet:
        rows: QuerySet = Call.objects.all()
        return rows

    @extend_schema(summary="List the actions of a call", responses=ActionSerializer(many=True))
    @action(detail=True)
    def actions(self, request: Request, id: str) -> Response:
        return self.page_of(self._of(self.get_object()), ActionSerializer)

    @extend_schema(
        summary="Act in a running call",
        request=NewActionSerializer,
        responses={202: ActionSerializer},
        examples=_EXAMPLES,
    )
    @actions.mapping.post
    @idempotent
    def act(self, request: Request, id: str) -> Response:
        """Accepted actions are carried out at once; fetch the action, or read the call's events, to see what became of it."""
        wanted = self.body(NewActionSerializer, request)
        wanted["target"] = wanted.pop("target_id", None)
        reason = wanted.pop("reason")
        made = request_action(self.get_object(), Wanted(kind=Kind(wanted.pop("type")), **wanted), reason=reason)
        return Response(ActionSerializer(made).data, status=202)

    @extend_schema(summary="Fetch an action of a call", responses=ActionSerializer)
    @action(detail=True, methods=["get"], url_path="actions/(?P<action_id>[^/]+)")
    def one_action(self, request: Request, id: str, action_id: str) -> Response:
        return Response(ActionSerializer(self.row(self._of(self.get_object()), CallCommand.public_prefix, action_id)).data)

    def _of(self, call: Call) -> QuerySet:
        rows: QuerySet = CallCommand.objects.filter(call=call).exclude(kind=Kind.MESSAGE)
        return rows
