"""Serializers that refuse what they do not know, and the field types of the API."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework import serializers

from voiceplatform.lib.ids import InvalidIdError, from_public_id, to_public_id
from voiceplatform.lib.metadata import LONGEST_KEY, LONGEST_VALUE, MOST_METADATA


class StrictSerializer(serializers.Serializer):
    """Refuses unknown and read-only fields by name instead of ignoring them."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = [name for name, field in self.fields.items() if not field.read_only]
            extra = [name for name in data if name not in writable]
            if extra:
                raise serializers.ValidationError({str(name): [self._refusal(str(name), writable)] for name in extra})
        return super().to_internal_value(data)

    def _refusal(self, name: str, writable: list[str]) -> serializers.ErrorDetail:
        if name in self.fields:
            return serializers.ErrorDetail("This is read-only.", "read_only")
        return serializers.ErrorDetail(f"There is no such field. Known: {', '.join(writable) or 'none'}.", "unknown_field")


class PublicIdField(serializers.Field):
    """A UUID shown as `prefix_…`."""

    def __init__(self, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        super().__init__(**options)

    def to_representation(self, value: UUID) -> str:
        return to_public_id(self.prefix, value)

    def to_internal_value(self, data: Any) -> UUID:
        try:
            return from_public_id(self.prefix, data if isinstance(data, str) else "")
        except InvalidIdError as error:
            raise serializers.ValidationError(
                f"{str(data)[:60]!r} is not an id of the form {self.prefix}_….", "invalid"
            ) from error


class RowField(PublicIdField):
    """A reference to a row of `rows()`; another tenant's row is refused exactly as one that does not exist."""

    def __init__(self, rows: Callable[[], QuerySet], *, prefix: str, **options: Any) -> None:
        self.rows = rows
        super().__init__(prefix, **options)

    def to_representation(self, value: Any) -> str:
        return to_public_id(self.prefix, value.pk if isinstance(value, Model) else value)

    def to_internal_value(self, data: Any) -> Any:
        row = self.rows().filter(pk=super().to_internal_value(data)).first()
        if row is None:
            raise serializers.ValidationError(f"There is no {data}.", "does_not_exist")
        return row


class MetadataField(serializers.DictField):
    """Up to 50 short texts of the customer's own, echoed everywhere."""

    def __init__(self, **options: Any) -> None:
        child = serializers.CharField(max_length=LONGEST_VALUE, allow_blank=True, trim_whitespace=False)
        super().__init__(child=child, **options)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        values: dict[str, str] = super().to_internal_value(data)
        if len(values) > MOST_METADATA:
            raise serializers.ValidationError(f"At most {MOST_METADATA} entries; these are {len(values)}.")
        for key in values:
            if not 1 <= len(key) <= LONGEST_KEY:
                raise serializers.ValidationError(f"Keys have 1 to {LONGEST_KEY} characters: {key[:50]!r}.")
        return values
