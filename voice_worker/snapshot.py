"""Everything a call runs on, read once, in three queries. Nothing below this module knows models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from agents.pipeline import VersionSettings
from agents.tools import TOOLS
from agents.transfers import TransferPolicy
from calls.models import Call
from calls.policies import EVERYTHING, NO_CONTENT, policy_of
from calls.resolving import scope_of_call
from tenants.services.features import enabled_features
from voiceplatform.lib.retry import retry_on_lost_connection

RECORDING_FEATURE: Final = "call-recording"
CHAT: Final = "chat"
INBOUND: Final = "inbound"
OUTBOUND: Final = "outbound"
WEB: Final = "web"
Features = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Grant:
    """A tool the version may use, with what staff set for it."""

    key: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    call_id: UUID
    tenant_id: UUID
    kind: str
    room: str
    persona: str
    phone: str
    context: Mapping[str, Any]
    variables: Mapping[str, Any]
    metadata: Mapping[str, Any]
    max_duration_s: int
    agent_name: str
    business_name: str
    timezone: str
    version_number: int
    settings: VersionSettings
    grants: tuple[Grant, ...]
    features: Features
    transfers: TransferPolicy

    @property
    def is_recorded(self) -> bool:
        wanted = self.settings.recording.mode != "off" and not self.is_chat and RECORDING_FEATURE in self.features
        return wanted and self.policy == EVERYTHING

    @property
    def policy(self) -> str:
        """How much is kept of the call, one of calls.policies."""
        return policy_of({"kept": self.settings.kept}, self.features)

    @property
    def usable_grants(self) -> list[Grant]:
        """Without tools that write down what is said, where nothing of it may be kept."""
        keeps = self.policy != NO_CONTENT
        return [grant for grant in self.grants if keeps or not (grant.key in TOOLS and TOOLS[grant.key].keeps_words)]

    @property
    def is_by_phone(self) -> bool:
        return self.kind in (INBOUND, OUTBOUND)

    @property
    def is_with_a_person(self) -> bool:
        """Somebody is on the line who would wait in silence."""
        return self.is_by_phone or self.kind == WEB

    @property
    def is_chat(self) -> bool:
        """Nobody is heard: messages are written to and fro."""
        return self.kind == CHAT


@retry_on_lost_connection
def load_snapshot(call_id: UUID) -> CallSnapshot:
    """Raises Call.DoesNotExist."""
    with scope_of_call(call_id):
        call = Call.objects.select_related("snapshot").get(pk=call_id)
        return _freeze(call, call.snapshot.body, enabled_features())


def live_features(call_id: UUID) -> Features:
    """The tenant's features as they are now."""
    with scope_of_call(call_id):
        return enabled_features()


def _freeze(call: Call, body: Mapping[str, Any], features: Features) -> CallSnapshot:
    return CallSnapshot(
        call_id=call.pk,
        tenant_id=call.tenant_id,
        kind=call.kind,
        room=call.room,
        persona=call.persona,
        phone=call.phone,
        context=call.context,
        variables=call.variables,
        metadata=call.metadata,
        max_duration_s=call.max_duration_s,
        agent_name=body["agent"]["name"],
        business_name=body["tenant"]["name"],
        timezone=body["tenant"]["timezone"],
        version_number=body["version"]["number"],
        settings=VersionSettings.model_validate(body["settings"]),
        grants=tuple(Grant(key=tool["key"], config=tool["config"]) for tool in body["tools"]),
        features=features,
        transfers=TransferPolicy.model_validate(body.get("transfer", {})),
    )
