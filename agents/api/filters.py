"""What lists of agents may be narrowed by."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from voiceplatform.lib.api.filters import MetadataFilter


class AgentFilter(django_filters.FilterSet):
    narrows_unasked = True

    name = django_filters.CharFilter(lookup_expr="icontains")
    archived = django_filters.ChoiceFilter(
        choices=[("true", "archived ones"), ("false", "those in use")],
        method="by_archived",
    )
    metadata = MetadataFilter(field_name="metadata")

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        found: QuerySet = super().filter_queryset(queryset)
        return found if self.form.cleaned_data["archived"] else found.filter(archived_at=None)

    def by_archived(self, queryset: QuerySet, _name: str, value: Any) -> QuerySet:
        return queryset.filter(archived_at__isnull=value != "true")
