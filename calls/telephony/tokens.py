"""Tokens with which a browser comes into a room."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from livekit import api

from calls.errors import NoLiveKitError
from calls.telephony.client import is_configured

MICROPHONE: Final = "microphone"


def listeners_token(*, room: str, identity: str, ttl: timedelta) -> str:
    """For somebody who hears everybody and is seen and heard by nobody."""
    return _token(room, identity, ttl, api.VideoGrants(hidden=True, can_publish=False))


def speakers_token(*, room: str, identity: str, ttl: timedelta) -> str:
    """For somebody whose microphone is heard; nothing else comes from them."""
    return _token(room, identity, ttl, api.VideoGrants(hidden=False, can_publish=True, can_publish_sources=[MICROPHONE]))


def _token(room: str, identity: str, ttl: timedelta, grants: api.VideoGrants) -> str:
    if not (is_configured() and settings.LIVEKIT_API_KEY and settings.LIVEKIT_API_SECRET):
        raise NoLiveKitError("There is no LiveKit server that this call could be on.")
    grants.room_join, grants.room = True, room
    grants.can_subscribe, grants.can_publish_data, grants.can_update_own_metadata = True, False, False
    token = api.AccessToken(settings.LIVEKIT_API_KEY, settings.LIVEKIT_API_SECRET)
    return str(token.with_identity(identity).with_ttl(ttl).with_grants(grants).to_jwt())
