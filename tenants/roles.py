"""What a scope allows, and which scopes each role has. API keys carry the same scope strings."""

from collections.abc import Iterable, Mapping
from typing import Final

from tenants.models import Membership

Role = Membership.Role

SCOPES: Final[Mapping[str, str]] = {
    "agents:read": "See agents, their versions, voices and tools, and whom they hand calls to.",
    "agents:write": "Create and change agents and their drafts, and chat with them.",
    "agents:publish": "Publish versions, roll back, and change whom calls are handed to, which holds at once.",
    "calls:read": "See calls, transcripts, events and messages.",
    "calls:write": "Place calls, hang up, and write to a running chat.",
    "calls:join": "Get tokens with which a browser joins a web call.",
    "calls:control": "Steer running calls: say, instruct, mute, transfer, send digits, hang up.",
    "calls:override_gates": "Place a call although a person gate refuses it; needs a reason.",
    "recordings:read": "Listen to recordings.",
    "leads:read": "See leads, their consents and suppressed numbers.",
    "leads:write": "Change leads, consents and suppressed numbers.",
    "trunks:read": "See carrier accounts, trunks and who may use them.",
    "trunks:write": "Change carrier accounts and trunks.",
    "numbers:read": "See telephone numbers and where they route.",
    "numbers:write": "Add, route, buy and release telephone numbers.",
    "features:read": "See which features are on.",
    "usage:read": "See usage and cost.",
    "webhooks:read": "See webhook endpoints and deliveries.",
    "webhooks:write": "Change webhook endpoints, send tests and resend deliveries.",
    "jobs:read": "See long work such as imports, how far it is, and which rows were refused.",
    "jobs:write": "Cancel long work, also what others asked for.",
    "api_keys:read": "See API keys.",
    "api_keys:write": "Create and revoke API keys with no more than one's own scopes.",
    "tenants:act": "Act for a customer of the agency with the header Vp-Tenant.",
}

_VIEWS: Final = frozenset({"agents:read", "calls:read", "trunks:read", "numbers:read", "features:read"})
_ANALYSES: Final = _VIEWS | {"recordings:read", "usage:read", "leads:read", "jobs:read"}
_OPERATES: Final = _ANALYSES | {
    "agents:write",
    "calls:write",
    "calls:join",
    "calls:control",
    "leads:write",
    "webhooks:read",
    "jobs:write",
}
_ADMINISTERS: Final = _OPERATES | {
    "agents:publish",
    "trunks:write",
    "numbers:write",
    "webhooks:write",
    "api_keys:read",
    "api_keys:write",
}

ROLE_SCOPES: Final[Mapping[str, frozenset[str]]] = {
    Role.VIEWER: _VIEWS,
    Role.ANALYST: _ANALYSES,
    Role.OPERATOR: _OPERATES,
    Role.ADMIN: _ADMINISTERS,
    Role.OWNER: frozenset(SCOPES),
}


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    return sorted(set(scopes) - SCOPES.keys())
