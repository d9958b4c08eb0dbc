"""How much was talked, and what it cost."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from calls.api.sequences import listed, whole
from calls.models import Call
from calls.selectors import GROUPS, UsageTotal, usage_totals
from tenants.api.resources import ResourceViewSet
from voiceplatform.lib.api.fields import PublicIdField, StrictSerializer

LONGEST: Final = timedelta(days=366)
USUAL: Final = timedelta(days=30)
FIELDS: Final = {"day": "day", "agent": "agent_id", "kind": "kind"}
_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
_PARAMETERS: Final = [
    OpenApiParameter("from", datetime, description="Calls placed from then on; 30 days before `to` unless told otherwise."),
    OpenApiParameter("to", datetime, description="Calls placed before then; now unless told otherwise."),
    OpenApiParameter("group_by", str, enum=list(GROUPS), description="Days are those of the account's time zone."),
    OpenApiParameter("include_test", bool, description="With simulations, chats and test calls; false unless told otherwise."),
]


class UsageQuerySerializer(StrictSerializer):
    to = serializers.DateTimeField(required=False)
    group_by = serializers.ChoiceField(choices=list(GROUPS), default="day")
    include_test = serializers.ChoiceField(choices=["true", "false"], default="false")

    def get_fields(self) -> dict[str, Any]:
        # A reserved word cannot be an attribute.
        return {"from": serializers.DateTimeField(required=False), **super().get_fields()}

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        until = given.setdefault("to", timezone.now())
        since = given.setdefault("from", until - min(USUAL, until - _EARLIEST))
        if not timedelta(0) < until - since <= LONGEST:
            raise serializers.ValidationError({"from": f"This must be before `to`, by at most {LONGEST.days} days."})
        return given


class CostSerializer(StrictSerializer):
    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=6)


class UsageLineSerializer(StrictSerializer):
    """Has the one of `day`, `agent_id` and `kind` that was grouped by."""

    day = serializers.DateField(required=False, help_text="In the account's time zone.")
    agent_id = PublicIdField(Agent.public_prefix, required=False)
    kind = serializers.ChoiceField(choices=Call.Kind.choices, required=False)
    calls = serializers.IntegerField(help_text="Calls placed or received.")
    answered_calls = serializers.IntegerField(help_text="Those in which a conversation began.")
    duration_s = serializers.FloatField(help_text="Length of all conversations that have ended.")
    costs = CostSerializer(many=True, help_text="Of the finalized calls, by currency.")
    calls_without_final_cost = serializers.IntegerField(help_text="Calls whose cost is not in `costs`: not finalized yet.")


class UsageViewSet(ResourceViewSet):
    scopes = {"list": "usage:read"}
    serializer_class = UsageLineSerializer
    pagination_class = None
    filter_backends = []

    @extend_schema(summary="Add up usage", parameters=_PARAMETERS, responses={200: listed(UsageLineSerializer)})
    def list(self, request: Request) -> Response:
        """Groups without calls are left out."""
        asked = UsageQuerySerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        totals = usage_totals(
            since=given["from"],
            until=given["to"],
            group_by=given["group_by"],
            with_tests=given["include_test"] == "true",
        )
        return whole(UsageLineSerializer([_line(total, given["group_by"]) for total in totals], many=True).data)


def _line(total: UsageTotal, group_by: str) -> dict[str, Any]:
    return {
        FIELDS[group_by]: total.group,
        "calls": total.calls,
        "answered_calls": total.answered_calls,
        "duration_s": total.duration.total_seconds(),
        "costs": [{"currency": currency, "amount": amount} for currency, amount in total.costs.items()],
        "calls_without_final_cost": total.calls_without_final_cost,
    }
