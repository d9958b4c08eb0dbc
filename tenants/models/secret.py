"""A column that holds a secret, encrypted for its row."""

from typing import Any

from django.db import models

from voiceplatform.lib.secrets import SealedSecret, Secret, seal


class _Sealed(str):
    """A token on its way between a row and the database."""

    __slots__ = ()


class _SecretAttribute:
    """Gives a Secret, which is decrypted and checked when it is revealed."""

    def __init__(self, field: "EncryptedTextField") -> None:
        self.field = field

    def __get__(self, row: models.Model | None, owner: type | None = None) -> Any:
        if row is None:
            return self
        if self.field.attname not in row.__dict__:
            row.refresh_from_db(fields=[self.field.attname])
        value = row.__dict__[self.field.attname]
        return SealedSecret(value, self.field.place_in(row)) if isinstance(value, _Sealed) else value

    def __set__(self, row: models.Model, value: Any) -> None:
        row.__dict__[self.field.attname] = Secret(value) if type(value) is str else value


class EncryptedTextField(models.TextField):
    """Text of a tenant-owned row, encrypted together with tenant, model, id and field: moved elsewhere it is refused.

    Assign a str or a Secret; reading gives a Secret or None. It is in no form, and only saving a row writes it:
    look-ups and `update()` raise TypeError.
    """

    descriptor_class = _SecretAttribute

    def __init__(self, *args: Any, **options: Any) -> None:
        options["editable"] = False
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        del options["editable"]
        return name, path, args, options

    def place_in(self, row: Any) -> dict[str, str]:
        return {"tenant": str(row.tenant_id), "model": row._meta.label_lower, "pk": str(row.pk), "field": self.name}

    def from_db_value(self, value: str | None, *_: Any) -> _Sealed | None:
        return None if value is None else _Sealed(value)

    def to_python(self, value: Any) -> Any:
        return value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        if isinstance(value, Secret):
            value = _Sealed(seal(value.reveal(), self.place_in(model_instance)))
            model_instance.__dict__[self.attname] = value
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None or isinstance(value, _Sealed):
            return value
        raise TypeError(f"{self.name} is encrypted for its row: assign it to the row and save the row")

    def value_from_object(self, obj: models.Model) -> Any:
        return getattr(obj, self.attname)
