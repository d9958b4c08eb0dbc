"""Shapes of telephone numbers."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.models import Agent
from calls.api.people_serializers import PhoneField
from calls.models import PhoneNumber, SipTrunk, TrunkGrant
from calls.services.hours import MIDNIGHT, MOST_HOURS
from tenants.models.tenant import validate_timezone
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, RowField, StrictSerializer


class AgentField(RowField):
    """An agent of the tenant, shown without being read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_agents, prefix=Agent.public_prefix, default=None, allow_null=True, **options)

    def get_attribute(self, instance: PhoneNumber) -> UUID | None:
        agent_id: UUID | None = getattr(instance, f"{self.source}_id")
        return agent_id


class TrunkField(PublicIdField):
    """A trunk the tenant may use, its own or its agency's; it becomes the grant."""

    def get_attribute(self, instance: PhoneNumber) -> UUID:
        trunk_id: UUID = instance.grant.trunk_id
        return trunk_id

    def to_internal_value(self, data: Any) -> Any:
        grant = TrunkGrant.objects.filter(trunk_id=super().to_internal_value(data), revoked_at=None).first()
        if grant is None:
            raise serializers.ValidationError(f"There is no {data}.", "does_not_exist")
        return grant


def _agents() -> QuerySet:
    rows: QuerySet = Agent.objects.all()
    return rows


@extend_schema_field({"type": "string", "pattern": r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"})
class EndField(serializers.TimeField):
    """A time of the day, or the end of it."""

    def to_internal_value(self, value: Any) -> Any:
        return None if value in (MIDNIGHT, f"{MIDNIGHT}:00") else super().to_internal_value(value)


class HoursSerializer(StrictSerializer):
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7),
        min_length=1,
        max_length=7,
        help_text="1 is Monday, 7 is Sunday.",
    )
    starts_at = serializers.TimeField(format="%H:%M", help_text="On the clock of the number's timezone, to the minute.")
    ends_at = EndField(
        format="%H:%M",
        help_text="The first minute at which it is closed: 24:00 is midnight, and what is before `starts_at` is on the next day.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        ends_at = f"{given['ends_at']:%H:%M}" if given["ends_at"] else MIDNIGHT
        return {**given, "starts_at": f"{given['starts_at']:%H:%M}", "ends_at": ends_at}


def hours_field(when: str) -> serializers.ListField:
    """The spans of a week; `when` says what they are for."""
    told = f"{when} Empty: always. A change replaces all of them."
    return serializers.ListField(child=HoursSerializer(), default=list, max_length=MOST_HOURS, help_text=told)


def clock_field() -> serializers.CharField:
    told = "The clock the hours are read on, e.g. America/Chicago; empty: the account's."
    return serializers.CharField(max_length=64, default="", allow_blank=True, validators=[validate_timezone], help_text=told)


class NumberSerializer(StrictSerializer):
    id = PublicIdField(PhoneNumber.public_prefix, source="pk", read_only=True)
    phone = PhoneField(help_text="With country code, e.g. +12125550123. It cannot be changed.")
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=120, default="", allow_blank=True, help_text="What it is for, e.g. Main line."
    )
    trunk_id = TrunkField(SipTrunk.public_prefix, source="grant", help_text="The trunk its calls take: trk_….")
    agent_id = AgentField(source="agent", help_text="Answers: agt_…. Null: callers hear that nobody is available.")
    is_caller_id = serializers.BooleanField(default=True, help_text="Outbound calls may show it.")
    timezone = clock_field()
    hours = hours_field("When it is open.")
    closed_action = serializers.ChoiceField(
        choices=PhoneNumber.Closed.choices, default=PhoneNumber.Closed.AGENT, help_text="What happens outside the hours."
    )
    closed_agent_id = AgentField(source="closed_agent", help_text="For other_agent: who answers outside the hours.")
    closed_forward_to = PhoneField(
        default="", allow_blank=True, help_text="For forward: where calls go outside the hours, e.g. +12025550199."
    )
    closed_sentence = serializers.CharField(
        max_length=300, default="", allow_blank=True, help_text="For sentence: what is said outside the hours."
    )
    hook_url = serializers.CharField(
        max_length=2048,
        default="",
        allow_blank=True,
        help_text="Asked while the phone rings who shall answer: https, on port 443 or 8443. Empty: nobody is asked.",
    )
    metadata = MetadataField(default=dict, help_text="Up to 50 short texts of your own. A change replaces all of them.")
    synced_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When the telephone server last had it like this."
    )
    sync_error = serializers.CharField(read_only=True, help_text="Why the server does not have it; empty if it does.")
    drift = serializers.CharField(read_only=True, help_text="What the server had instead when it was last compared.")
    created_at = serializers.DateTimeField(read_only=True)
    released_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Since when it routes nowhere.")


class NumberWithSecretSerializer(NumberSerializer):
    hook_secret = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="whsec_…: verifies the hook's questions. It is shown this once; null unless it is new.",
    )
