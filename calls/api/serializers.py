"""Shapes of calls and of what is kept about them."""

from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.models import Agent
from agents.personas import PERSONAS
from calls.endings import why_it_ended
from calls.models import Call, CallEvent, Leg, Message, PhoneNumber, Recording, ToolCall, Turn
from calls.policies import HAND_OVER_EVENT
from calls.services.targets import hand_over_facts
from tenants.models import Kind, Unit
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, RowField, StrictSerializer

PLACED_KINDS: Final = (Call.Kind.OUTBOUND, Call.Kind.WEB, Call.Kind.SIMULATED)
# What only calls of one kind are asked for with.
_ONLY: Final = {
    Call.Kind.OUTBOUND: ("to", "from_number_id", "override_gates"),
    Call.Kind.SIMULATED: ("persona",),
}
# Where the rows of CallSerializer keep what is fetched with them. A list is much cheaper than a queryset per call.
KEPT_RECORDINGS: Final = "kept_recordings"
KEPT_LEGS: Final = "kept_legs"
LARGEST_NUMBER: Final = 2**31 - 1


class WordField(serializers.CharField):
    """A word of ours; null where there is none yet."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return str(value) or None


class OverridesSerializer(StrictSerializer):
    """Settings that this call alone changes; they are checked like the agent's own."""

    greeting = serializers.CharField(required=False, allow_blank=True, max_length=600, help_text="Spoken first. Liquid works.")
    voice = serializers.CharField(required=False, max_length=80, help_text="A voice of the version's provider.")
    language = serializers.CharField(required=False, max_length=5, help_text="What the other side speaks, e.g. en or de.")
    max_duration_s = serializers.IntegerField(required=False, help_text="The call ends after this many seconds.")


def _numbers() -> QuerySet:
    rows: QuerySet = PhoneNumber.objects.filter(released_at=None).select_related("grant__tenant")
    return rows


def _agents() -> QuerySet:
    rows: QuerySet = Agent.objects.select_related("published_version__agent", "published_version__tenant")
    return rows


class VariablesField(serializers.DictField):
    def __init__(self, **options: Any) -> None:
        told = "Values for the variables the version declares."
        super().__init__(child=serializers.JSONField(allow_null=True), default=dict, help_text=told, **options)


class NewCallSerializer(StrictSerializer):
    agent_id = RowField(_agents, prefix=Agent.public_prefix, source="agent", help_text="Who talks: agt_….")
    version = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_NUMBER,
        help_text="Number of the version to use; the published one unless told otherwise.",
    )
    kind = serializers.ChoiceField(
        choices=PLACED_KINDS,
        default=Call.Kind.OUTBOUND,
        help_text="outbound rings a person, web is joined by a browser, simulated talks to a persona.",
    )
    to = serializers.CharField(required=False, max_length=40, help_text="Outbound: whom to ring, as +15125550143.")
    from_number_id = RowField(
        _numbers,
        prefix=PhoneNumber.public_prefix,
        source="from_number",
        required=False,
        help_text="Outbound: the number they see.",
    )
    override_gates = serializers.CharField(
        required=False,
        max_length=500,
        help_text="Outbound: why it is placed although a person gate refuses it. Needs the scope calls:override_gates.",
    )
    persona = serializers.ChoiceField(choices=list(PERSONAS), required=False, help_text="Simulated: who calls.")
    variables = VariablesField()
    overrides = OverridesSerializer(required=False)
    metadata = MetadataField(default=dict, help_text="Up to 50 texts of your own, echoed everywhere.")
    not_before = serializers.DateTimeField(required=False, help_text="The call waits until then.")
    not_after = serializers.DateTimeField(
        required=False, help_text="It is canceled when it has not begun by then; one hour after not_before unless told otherwise."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        errors = {}
        kind = given["kind"]
        if kind == Call.Kind.OUTBOUND and "to" not in given:
            errors["to"] = serializers.ErrorDetail("Say whom to ring, as +15125550143.", "required")
        others = [name for only, names in _ONLY.items() if only != kind for name in names]
        for name in [*others, *(("not_before", "not_after") if kind == Call.Kind.WEB else ())]:
            if name in self.initial_data:
                errors[name] = serializers.ErrorDetail(f"A call of kind {given['kind']} has none.", "invalid")
        if (number := given.get("version")) is not None:
            given["version"] = given["agent"].versions.filter(number=number).select_related("agent", "tenant").first()
            if given["version"] is None:
                errors["version"] = serializers.ErrorDetail(f"The agent has no version {number}.", "does_not_exist")
        if errors:
            raise serializers.ValidationError(errors)
        return given


class HangUpSerializer(StrictSerializer):
    reason = serializers.CharField(default="", allow_blank=True, max_length=500, help_text="Kept with the call.")


class CallRecordingSerializer(StrictSerializer):
    id = PublicIdField(Recording.public_prefix, source="pk", read_only=True)
    state = serializers.ChoiceField(choices=Recording.State.choices, read_only=True)
    duration_ms = serializers.IntegerField(read_only=True, allow_null=True)

    def get_attribute(self, instance: Call) -> Any:
        kept: list[Recording] = getattr(instance, KEPT_RECORDINGS)
        return kept[0] if kept else None


class LegSerializer(StrictSerializer):
    id = PublicIdField(Leg.public_prefix, source="pk", read_only=True)
    role = serializers.ChoiceField(choices=Leg.Role.choices, read_only=True, help_text="Whose phone or browser it is.")
    phone = WordField(help_text="Null when it is withheld.")
    carrier_id = WordField(help_text="The id the leg has in the carrier's log.")
    started_at = serializers.DateTimeField(read_only=True)
    ringing_at = serializers.DateTimeField(read_only=True, allow_null=True)
    answered_at = serializers.DateTimeField(read_only=True, allow_null=True)
    ended_at = serializers.DateTimeField(read_only=True, allow_null=True)
    end_reason = WordField(help_text="Null while it is connected.")


class CallSerializer(StrictSerializer):
    id = PublicIdField(Call.public_prefix, source="pk", read_only=True)
    agent_id = PublicIdField(Agent.public_prefix, read_only=True)
    version_number = serializers.IntegerField(read_only=True, help_text="The agent's version it runs on.")
    kind = serializers.ChoiceField(choices=Call.Kind.choices, read_only=True)
    status = serializers.ChoiceField(choices=Call.Status.choices, read_only=True)
    disposition = WordField(help_text="How it ended, as one of a fixed set; null while it is open.")
    ended_reason = WordField(help_text="What ended it; null while it is open.")
    why_it_ended = serializers.SerializerMethodField(help_text="The same in sentences; null while it is open.")
    livemode = serializers.BooleanField(read_only=True, help_text="False: a test call, which counts in no figure.")
    persona = WordField(help_text="Who calls, in a simulation.")
    phone = WordField(help_text="The other party's number; null when it is withheld, or nobody's phone is part of the call.")
    number_id = PublicIdField(
        PhoneNumber.public_prefix, read_only=True, allow_null=True, help_text="The number they called, or were shown."
    )
    answered_by = serializers.SerializerMethodField(help_text="Who or what answered an outbound call; null while that is open.")
    variables = serializers.DictField(read_only=True)
    metadata = serializers.DictField(read_only=True)
    overrides = OverridesSerializer(read_only=True)
    not_before = serializers.DateTimeField(read_only=True, allow_null=True)
    not_after = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    dispatched_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When a worker was asked to take it.")
    answered_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When the conversation began.")
    ended_at = serializers.DateTimeField(read_only=True, allow_null=True)
    finalized_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="From then on cost and record are whole.")
    duration_s = serializers.FloatField(
        read_only=True, allow_null=True, help_text="Length of the conversation; null until it ended."
    )
    cost = serializers.DecimalField(
        max_digits=18, decimal_places=6, read_only=True, allow_null=True, help_text="Null until finalized."
    )
    currency = serializers.CharField(read_only=True, help_text="ISO code of the cost.")
    recording = CallRecordingSerializer(read_only=True, allow_null=True, help_text="Null while there is none.")
    legs = LegSerializer(
        source=KEPT_LEGS, many=True, read_only=True, help_text="Each phone or browser that took part, the first one first."
    )

    @extend_schema_field(serializers.ChoiceField(choices=Call.AnsweredBy.choices, allow_null=True))
    def get_answered_by(self, call: Call) -> str | None:
        return call.answered_by or None

    def get_why_it_ended(self, call: Call) -> str | None:
        return why_it_ended(call) or None


class HandOverTargetSerializer(StrictSerializer):
    id = serializers.CharField(read_only=True, help_text="A transfer target's, tgt_….")
    name = serializers.CharField(read_only=True, help_text="As it was called then.")


class TriedTargetSerializer(HandOverTargetSerializer):
    outcome = serializers.CharField(
        read_only=True, help_text="joined, declined, busy, voicemail, no_answer, failed, closed or caller_left."
    )


class HandOverSerializer(StrictSerializer):
    reason = serializers.CharField(read_only=True, help_text="Why the agent handed over, as one of its tool's words.")
    summary = serializers.CharField(read_only=True, help_text="What the person was told; empty where no content is kept.")
    outcome = serializers.ChoiceField(choices=["joined", "not_taken"], read_only=True)
    target = HandOverTargetSerializer(read_only=True, allow_null=True, help_text="Who took the call; null when nobody did.")
    tried = TriedTargetSerializer(many=True, read_only=True, help_text="Who was asked, in that order.")


class FetchedCallSerializer(CallSerializer):
    """A call by itself; what it tells beyond a row of a list costs a query."""

    hand_over = serializers.SerializerMethodField(
        help_text="The last time the agent handed over to a person, as the webhook call.hand_over_ended tells it; null if never."
    )

    @extend_schema_field(HandOverSerializer(allow_null=True))
    def get_hand_over(self, call: Call) -> dict[str, Any] | None:
        told = call.events.filter(kind=HAND_OVER_EVENT).last()
        return hand_over_facts(told.data) if told else None


class WebEntrySerializer(StrictSerializer):
    """What a browser joins its call with, once: give it to the browser, and keep it nowhere."""

    url = serializers.CharField(read_only=True, help_text="The LiveKit server, e.g. wss://live.example.com.")
    token = serializers.CharField(read_only=True, help_text="Admits one caller with a microphone to this call alone.")
    expires_at = serializers.DateTimeField(read_only=True, help_text="When it is too late to join with it.")


class PlacedCallSerializer(FetchedCallSerializer):
    web = WebEntrySerializer(
        required=False,
        help_text="Of a web call, in this answer alone: one that repeats it by Idempotency-Key has none, as other kinds.",
    )


class WordSerializer(StrictSerializer):
    text = serializers.CharField(read_only=True)
    started_ms = serializers.IntegerField(read_only=True)
    ended_ms = serializers.IntegerField(read_only=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return dict(zip(self.fields, instance, strict=True))


class TurnSerializer(StrictSerializer):
    sequence = serializers.IntegerField(read_only=True, help_text="Its place in the conversation, from 0.")
    speaker = serializers.ChoiceField(
        choices=Turn.Speaker.choices, read_only=True, help_text="A person is somebody the caller was connected with."
    )
    source = serializers.ChoiceField(choices=Turn.Source.choices, read_only=True)  # type: ignore[assignment]
    text = serializers.CharField(read_only=True, help_text="Of an interrupted turn, what was heard of it.")
    language = WordField(help_text="Null where the recogniser tells none.")
    started_ms = serializers.IntegerField(read_only=True, allow_null=True, help_text="Milliseconds since the call was answered.")
    ended_ms = serializers.IntegerField(read_only=True, allow_null=True)
    words = WordSerializer(many=True, read_only=True, help_text="Empty where the recogniser tells no times of words.")
    interrupted = serializers.BooleanField(read_only=True, help_text="The other side spoke before it was finished.")
    redacted = serializers.BooleanField(read_only=True, help_text="Words were left out or masked before they were stored.")


class ToolCallSerializer(StrictSerializer):
    id = PublicIdField(ToolCall.public_prefix, source="pk", read_only=True)
    sequence = serializers.IntegerField(read_only=True)
    tool = serializers.CharField(source="key", read_only=True, help_text="Key of the tool in the catalogue.")
    arguments = serializers.DictField(read_only=True)
    status = serializers.ChoiceField(choices=ToolCall.Status.choices, read_only=True)
    output = serializers.CharField(read_only=True, help_text="What the agent was told.")
    started_ms = serializers.IntegerField(read_only=True, allow_null=True, help_text="Milliseconds since the call was answered.")
    duration_ms = serializers.IntegerField(read_only=True, allow_null=True)


class CallEventSerializer(StrictSerializer):
    id = PublicIdField(CallEvent.public_prefix, source="pk", read_only=True)
    kind = serializers.CharField(read_only=True)
    at = serializers.DateTimeField(read_only=True)
    data = serializers.DictField(read_only=True)  # type: ignore[assignment]


class CostLineSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=Kind.choices, read_only=True)
    provider = serializers.CharField(read_only=True)
    model = serializers.CharField(read_only=True)
    unit = serializers.ChoiceField(choices=Unit.choices, read_only=True)
    quantity = serializers.DecimalField(max_digits=18, decimal_places=6, read_only=True)
    price = serializers.DecimalField(max_digits=18, decimal_places=6, read_only=True, allow_null=True)
    per = serializers.DecimalField(
        max_digits=18, decimal_places=6, read_only=True, allow_null=True, help_text="How many units the price is for."
    )
    cost = serializers.DecimalField(
        max_digits=18, decimal_places=6, read_only=True, allow_null=True, help_text="Null without a price, and until finalized."
    )
    currency = WordField()


class MessageSerializer(StrictSerializer):
    id = PublicIdField(Message.public_prefix, source="pk", read_only=True)
    call_id = PublicIdField(Call.public_prefix, read_only=True)
    caller_name = serializers.CharField(read_only=True)
    phone = serializers.CharField(read_only=True)
    reason = serializers.CharField(read_only=True)
    urgent = serializers.BooleanField(read_only=True)
    taken_at = serializers.DateTimeField(read_only=True)
    read_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When somebody took note; null until then.")


class TrimmedSerializer(StrictSerializer):
    state = serializers.SerializerMethodField(help_text="Null until POST …/trim has asked for it.")
    duration_ms = serializers.IntegerField(source="copy_duration_ms", read_only=True, allow_null=True)
    size = serializers.IntegerField(source="copy_size", read_only=True, allow_null=True, help_text="Bytes.")
    sha256 = WordField(source="copy_sha256", help_text="Checksum of the copy.")

    @extend_schema_field(serializers.ChoiceField(choices=["asked", "making", "made", "failed"], allow_null=True))
    def get_state(self, recording: Recording) -> str | None:
        return recording.copy or None


class RecordingSerializer(CallRecordingSerializer):
    call_id = PublicIdField(Call.public_prefix, read_only=True)
    size = serializers.IntegerField(read_only=True, allow_null=True, help_text="Bytes.")
    sha256 = WordField(help_text="Checksum of the file.")
    stored_at = serializers.DateTimeField(read_only=True, allow_null=True)

    trimmed = TrimmedSerializer(source="*", read_only=True, help_text="The copy without silences.")


class RecordingLinkSerializer(StrictSerializer):
    trimmed = serializers.BooleanField(default=False, help_text="The copy without silences instead of the recording.")


class RecordingUrlSerializer(StrictSerializer):
    url = serializers.URLField(read_only=True, help_text="Opens without a key, also in ranges.")
    expires_at = serializers.DateTimeField(read_only=True)
