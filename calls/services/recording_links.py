"""Links to a recording's sound that open without a key, for a few minutes.

A link names the tenant, the recording and the key that made it. Each time it is opened all three are looked up anew, so
it ends at once with the recording, the key, or the key's permission.
"""

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
_SIGNER: Final = signing.TimestampSigner(salt="calls.recording.link")


@dataclass(frozen=True, slots=True)
class Link:
    token: str
    expires_at: datetime


def sign_link(recording: Recording, *, caller: Caller) -> Link:
    """A link to a recording of the tenant in scope. Raises RecordingNotStoredError."""
    if recording.state != Recording.State.STORED:
        why = "is lost" if recording.state == Recording.State.LOST else "is still on its way from the machine that made it"
        raise RecordingNotStoredError(f"{recording.public_id} {why}.")
    expires_at = timezone.now() + HOLDS
    return Link(_SIGNER.sign(f"{current_tenant_id().hex}:{recording.pk.hex}:{caller.key_id.hex}"), expires_at)


def open_link(token: str, *, recording_id: UUID) -> Caller:
    """Who listens, for the tenant whose scope the recording is to be read in. Needs no scope. Raises InvalidLinkError."""
    try:
        signed = _SIGNER.unsign(token, max_age=HOLDS)
    except signing.BadSignature as error:
        raise InvalidLinkError("This link has expired or is damaged. Ask for a new one.") from error
    tenant_id, signed_for, key_id = (UUID(part) for part in signed.split(":"))
    if signed_for != recording_id:
        raise InvalidLinkError("This link is for another recording.")
    try:
        caller = resolve_key_id(key_id, tenant_id=tenant_id)
    except (InvalidKeyError, NotAnAgencyKeyError) as error:
        raise InvalidLinkError("The API key that made this link can no longer be used.") from error
    if not caller.may(LISTEN):
        raise InvalidLinkError(f"The API key that made this link has lost the scope {LISTEN}.")
    return caller
