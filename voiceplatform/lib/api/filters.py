"""Filters by allow-list: a parameter nobody knows is refused by name instead of ignored."""

from typing import Any, Final

import django_filters
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from voiceplatform.lib.api.problems import Refusal
from voiceplatform.lib.ids import InvalidIdError, from_public_id

PAGING: Final = frozenset({"limit", "cursor", "ordering"})
METADATA: Final = "metadata"


class StrictFilterBackend(DjangoFilterBackend):
    """A set of filters that leaves rows out unasked says so by `narrows_unasked = True`."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset_class(view, queryset)
        names = [*filterset.base_filters, *getattr(filterset, "extra_parameters", ())] if filterset else []
        refuse_unknown(request, names)
        if PAGING.issuperset(request.query_params) and not getattr(filterset, "narrows_unasked", False):
            # Most lists are asked for whole, and a set of filters is slow to build.
            return queryset
        rows: QuerySet = super().filter_queryset(request, queryset, view)
        return rows


def refuse_unknown(request: Request, names: list[str]) -> None:
    """Raises Refusal for a query parameter that is neither of `names` nor about paging."""
    for given in request.query_params:
        if given not in PAGING and not _is_known(given, names):
            known = ", ".join(sorted({*names, *PAGING}))
            raise Refusal(400, "invalid", f"There is no filter {given[:60]!r}.", params={given[:60]: f"Known: {known}."})


def _is_known(given: str, names: list[str]) -> bool:
    if given.startswith(f"{METADATA}["):
        return METADATA in names and given.endswith("]")
    return given in names and given != METADATA


class PublicIdFilter(django_filters.CharFilter):
    """Equality with a row shown as `prefix_…`."""

    def __init__(self, *, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        super().__init__(**options)

    def filter(self, qs: QuerySet, value: Any) -> QuerySet:
        if not value:
            return qs
        try:
            return qs.filter(**{self.field_name: from_public_id(self.prefix, value)})
        except InvalidIdError as error:
            params = {self.parent_name: f"{value[:60]!r} is not an id of the form {self.prefix}_…."}
            raise Refusal(400, "invalid", str(error), params=params) from error

    @property
    def parent_name(self) -> str:
        return str(self.field_name).removesuffix("__pk")


class MetadataFilter(django_filters.Filter):
    """`metadata[key]=value`: rows whose metadata has exactly this value there."""

    def filter(self, qs: QuerySet, value: Any) -> QuerySet:
        for name, wanted in self.parent.data.items():
            if name.startswith(f"{METADATA}[") and name.endswith("]"):
                if "\x00" in name + wanted:
                    raise Refusal(
                        400, "invalid", "Metadata holds no U+0000.", params={METADATA: "This has the character U+0000."}
                    )
                qs = qs.filter(**{f"{self.field_name}__contains": {name[9:-1]: wanted}})
        return qs
