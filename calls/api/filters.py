"""What lists of calls, messages and recordings can be narrowed by."""

from typing import Any

import django_filters
from django.db.models import F, QuerySet

from agents.models import Agent
from calls.carriers import Carrier
from calls.models import Call, PhoneNumber, SipTrunk
from voiceplatform.lib.api.filters import METADATA, MetadataFilter, PublicIdFilter
from voiceplatform.lib.api.problems import Refusal
from voiceplatform.lib.phone import InvalidPhoneError, to_e164

_FLAGS = [("true", "true"), ("false", "false")]


class FlagFilter(django_filters.TypedChoiceFilter):
    """Exactly `true` or `false`; the library's own filter ignores everything else."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=_FLAGS, coerce=lambda given: given == "true", empty_value=None, **options)


class PhoneFilter(django_filters.CharFilter):
    def filter(self, qs: QuerySet, value: Any) -> QuerySet:
        if not value:
            return qs
        try:
            return qs.filter(phone=to_e164(value))
        except InvalidPhoneError as error:
            message = f"{error} In an address, + is written %2B."
            raise Refusal(400, "invalid", message, params={"phone": message}) from error


class CallFilters(django_filters.FilterSet):
    agent_id = PublicIdFilter(prefix=Agent.public_prefix, field_name="agent_id")
    status = django_filters.ChoiceFilter(choices=Call.Status.choices)
    kind = django_filters.ChoiceFilter(choices=Call.Kind.choices)
    disposition = django_filters.ChoiceFilter(choices=Call.Disposition.choices)
    livemode = FlagFilter()
    created_at__gte = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    ended_reason = django_filters.CharFilter(max_length=60)
    persona = django_filters.CharFilter(max_length=60)
    phone = PhoneFilter()
    number_id = PublicIdFilter(prefix=PhoneNumber.public_prefix, field_name="number_id")
    metadata = MetadataFilter()


class MessageFilters(django_filters.FilterSet):
    call_id = PublicIdFilter(prefix=Call.public_prefix, field_name="call_id")
    unread = FlagFilter(field_name="read_at", lookup_expr="isnull")


class RecordingFilters(django_filters.FilterSet):
    call_id = PublicIdFilter(prefix=Call.public_prefix, field_name="call_id")


class OwnMetadataFilter(MetadataFilter):
    """Of a grant's trunk, if the trunk is the tenant's own: what an agency notes is nobody else's."""

    def filter(self, qs: QuerySet, value: Any) -> QuerySet:
        asked = any(name.startswith(f"{METADATA}[") for name in self.parent.data)
        return super().filter(qs.filter(owner_id=F("tenant_id")) if asked else qs, value)


class TrunkFilters(django_filters.FilterSet):
    carrier = django_filters.ChoiceFilter(field_name="trunk__carrier", choices=Carrier.choices)
    stopped = FlagFilter(field_name="trunk__stopped_at", lookup_expr="isnull", exclude=True)
    metadata = OwnMetadataFilter(field_name="trunk__metadata")


class TrunkFilter(PublicIdFilter):
    parent_name = "trunk_id"


class NumberFilters(django_filters.FilterSet):
    phone = PhoneFilter()
    agent_id = PublicIdFilter(prefix=Agent.public_prefix, field_name="agent_id")
    trunk_id = TrunkFilter(prefix=SipTrunk.public_prefix, field_name="grant__trunk_id")
    released = FlagFilter(field_name="released_at", lookup_expr="isnull", exclude=True)
    metadata = MetadataFilter()
