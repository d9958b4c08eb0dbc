"""Encrypting every stored secret anew with the newest key, and finding those that no key opens."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.apps import apps

from tenants.models import EncryptedTextField, TenantModel
from voiceplatform.lib.secrets import WrongKeyError, is_current, reseal

_BATCH: Final = 500


@dataclass(slots=True)
class Counts:
    """Of one column. `changed` secrets were under an older key; `lost` ones open with none."""

    column: str
    current: int = 0
    changed: int = 0
    lost: int = 0


def reencrypt(*, write: bool = True) -> Iterator[Counts]:
    """Bring every secret of every tenant under the first key, or with `write=False` only count. Needs no scope.

    May be stopped and run again: what is under the first key already is left alone. A secret that somebody
    changes meanwhile stays as they wrote it.
    """
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedTextField) and issubclass(model, TenantModel):
                yield _reencrypt_column(model, field.name, write=write)


def _reencrypt_column(model: type[TenantModel], name: str, *, write: bool) -> Counts:
    counts = Counts(column=f"{model._meta.label}.{name}")
    after: UUID | None = None
    while rows := _batch(model, name, after):
        for pk, token in rows:
            _reencrypt(model, name, pk, token, counts, write=write)
        after = rows[-1][0]
    return counts


def _batch(model: type[TenantModel], name: str, after: UUID | None) -> list[tuple[UUID, str]]:
    rows = model.all_objects.filter(**{f"{name}__isnull": False}).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return list(rows.values_list("pk", name)[:_BATCH])


def _reencrypt(model: type[TenantModel], name: str, pk: UUID, token: str, counts: Counts, *, write: bool) -> None:
    if is_current(token):
        counts.current += 1
        return
    try:
        fresh = type(token)(reseal(token))
    except WrongKeyError:
        counts.lost += 1
        return
    counts.changed += 1
    if write:
        # Whoever wrote another secret since it was read has used the first key.
        model.all_objects.filter(pk=pk, **{name: token}).update(**{name: fresh})
