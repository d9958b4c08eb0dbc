"""Switching features of many tenants at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.db import transaction

from tenants.errors import InvalidFeatureConfigError
from tenants.models import User
from tenants.scope import tenant_scope
from tenants.services.features import follow_plan, set_feature


class Switch(StrEnum):
    ON = "on"
    OFF = "off"
    PLAN = "plan"


@dataclass(slots=True)
class Outcome:
    """`refused` says of which tenants nothing was changed, and why."""

    done: int = 0
    refused: dict[UUID, str] = field(default_factory=dict)


def switch_features(
    *, wanted: Mapping[UUID, Collection[str]], to: Switch, actor: User | None = None, reason: str = ""
) -> Outcome:
    """Switch the features of each tenant on, off or back to its plan: all of a tenant's, or none of them.

    Raises UnknownFeatureError before anything is changed for the tenant that has it.
    """
    outcome = Outcome()
    for tenant_id, keys in wanted.items():
        try:
            with tenant_scope(tenant_id):
                switch_tenant(keys=keys, to=to, actor=actor, reason=reason)
        except InvalidFeatureConfigError as error:
            outcome.refused[tenant_id] = str(error)
        else:
            outcome.done += 1
    return outcome


@transaction.atomic
def switch_tenant(*, keys: Collection[str], to: Switch, actor: User | None = None, reason: str = "") -> None:
    """The same for the tenant in scope. Raises UnknownFeatureError and InvalidFeatureConfigError."""
    for key in sorted(keys):
        if to is Switch.PLAN:
            follow_plan(key=key, actor=actor, reason=reason)
        else:
            set_feature(key=key, enabled=to is Switch.ON, actor=actor, reason=reason)
