"""Links to a recording's sound that open without a key, for a few minutes.

A link names the tenant, the recording and the key that made it. Each time it is opened all three are looked up anew, so
it ends at once with the recording, the key, or the key's permission.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.core import signing
from django.utils import timezone

from calls.errors import InvalidLinkError, RecordingNotStoredError
from calls.models import Recording
from tenants.caller import Caller
from tenants.errors import InvalidKeyError, NotAnAgencyKeyError
from tenants.scope import current_tenant_id
from tenants.services.api_keys import resolve_key_id

LISTEN: Final = "recordings:read"
HOLDS: Final = timedelta(minutes=15)
WHOLE, TRIMMED = "whole", "trimmed"
_WHY_NOT: Final[Mapping[str, str]] = {
    Recording.State.MAKING: "is being made",
    Recording.State.LOST: "is lost",
    Recording.State.DELETED: "was deleted, because its time was over",
    Recording.State.SPOOLED: "is still on its way from the machine that made it",
}
_SIGNER: Final = signing.TimestampSigner(salt="calls.recording.link")


@dataclass(frozen=True, slots=True)
class Link:
    token: str
    expires_at: datetime


def sign_link(recording: Recording, *, caller: Caller, trimmed: bool = False) -> Link:
    """A link to a recording of the tenant in scope, or to its copy without silences. Raises RecordingNotStoredError."""
    if recording.state != Recording.State.STORED:
        raise RecordingNotStoredError(f"{recording.public_id} {_WHY_NOT[recording.state]}.")
    if trimmed and recording.copy != Recording.Copy.MADE:
        raise RecordingNotStoredError(f"The trimmed copy of {recording.public_id} is not made yet: POST …/trim asks for it.")
    expires_at = timezone.now() + HOLDS
    what = TRIMMED if trimmed else WHOLE
    return Link(_SIGNER.sign(f"{current_tenant_id().hex}:{recording.pk.hex}:{caller.key_id.hex}:{what}"), expires_at)


@dataclass(frozen=True, slots=True)
class Opened:
    """Who listens, for the tenant whose scope the recording is to be read in, and to which file."""

    caller: Caller
    trimmed: bool


def open_link(token: str, *, recording_id: UUID) -> Opened:
    """Needs no scope. Raises InvalidLinkError."""
    try:
        signed = _SIGNER.unsign(token, max_age=HOLDS)
    except signing.BadSignature as error:
        raise InvalidLinkError("This link has expired or is damaged. Ask for a new one.") from error
    *ids, what = signed.split(":")
    tenant_id, signed_for, key_id = map(UUID, ids)
    if signed_for != recording_id:
        raise InvalidLinkError("This link is for another recording.")
    try:
        caller = resolve_key_id(key_id, tenant_id=tenant_id)
    except (InvalidKeyError, NotAnAgencyKeyError) as error:
        raise InvalidLinkError("The API key that made this link can no longer be used.") from error
    if not caller.may(LISTEN):
        raise InvalidLinkError(f"The API key that made this link has lost the scope {LISTEN}.")
    return Opened(caller, trimmed=what == TRIMMED)
