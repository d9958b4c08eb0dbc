"""Whom a version hands calls to: whether that can be published, and how a job is told."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from agents.errors import InvalidSettingsError
from agents.models import TransferTarget
from agents.pipeline import Transfer
from agents.tools import HAND_OVER
from agents.transfers import TransferPolicy
from voiceplatform.lib.ids import InvalidIdError, from_public_id


def validate_transfer(transfer: Transfer, *, tools: Mapping[str, Any]) -> None:
    """Raises InvalidSettingsError for targets that do not exist or are off, and for the tool without any."""
    if HAND_OVER.key in tools and not transfer.targets:
        problem = f"The tool “{HAND_OVER.title}” is granted and has no target. Choose one here, or take the tool away."
        raise InvalidSettingsError({"transfer.targets": problem})
    wanted = {public_id: key_of(public_id) for public_id in transfer.targets}
    found = (
        {row.pk: row for row in TransferTarget.objects.filter(pk__in=[key for key in wanted.values() if key])} if wanted else {}
    )
    errors = {}
    for place, (public_id, key) in enumerate(wanted.items()):
        row = found.get(key) if key else None
        if row is None:
            errors[f"transfer.targets.{place}"] = f"There is no target {public_id!r}. Take it out, or choose another one."
        elif not row.enabled:
            errors[f"transfer.targets.{place}"] = f"The target {row.name} is switched off. Switch it on, or take it out here."
    if errors:
        raise InvalidSettingsError(errors)


def transfer_policy(settings: Mapping[str, Any]) -> TransferPolicy:
    """How a version with these settings hands over now. Targets that are off or gone are left out."""
    transfer = Transfer.model_validate(settings.get("transfer", {}))
    keys = [key for public_id in transfer.targets if (key := key_of(public_id))]
    rows = TransferTarget.objects.enabled().filter(pk__in=keys).select_related("tenant") if keys else []
    return TransferPolicy(targets=[row.as_target() for row in rows], **transfer.model_dump(exclude={"targets"}))


def key_of(public_id: str) -> UUID | None:
    """A target's; None of what is no id of a target."""
    try:
        return from_public_id(TransferTarget.public_prefix, public_id)
    except InvalidIdError:
        return None
