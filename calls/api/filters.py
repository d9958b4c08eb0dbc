"""What lists of calls, messages and recordings can be narrowed by."""

from typing import Any

import django_filters

from agents.models import Agent
from calls.models import Call
from voiceplatform.lib.api.filters import MetadataFilter, PublicIdFilter

_FLAGS = [("true", "true"), ("false", "false")]


class FlagFilter(django_filters.TypedChoiceFilter):
    """Exactly `true` or `false`; the library's own filter ignores everything else."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=_FLAGS, coerce=lambda given: given == "true", empty_value=None, **options)


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
    metadata = MetadataFilter()


class MessageFilters(django_filters.FilterSet):
    call_id = PublicIdFilter(prefix=Call.public_prefix, field_name="call_id")
    unread = FlagFilter(field_name="read_at", lookup_expr="isnull")


class RecordingFilters(django_filters.FilterSet):
    call_id = PublicIdFilter(prefix=Call.public_prefix, field_name="call_id")
