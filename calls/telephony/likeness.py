"""What the LiveKit server should have for our rows, and how what it has differs from that.

Of what somebody else may set on a trunk or rule, the fields named here are ours; the others, such as headers, stay as
they are. Each likeness carries in its metadata whose it is and a stamp of the fields as we wrote them, which tells a
change made on the server from one made to the row since.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from livekit import api

from calls.models import PhoneNumber, SipTrunk
from calls.telephony.names import AGENT_NAME, CATCH_ALL, INBOUND_PREFIX, MARK

TRUNK, NUMBER, STAMP = "trunk_id", "number_id", "as_written"
MOST_DRIFT: Final = 500
_TRANSPORTS: Final = {
    SipTrunk.Transport.UDP: api.SIPTransport.SIP_TRANSPORT_UDP,
    SipTrunk.Transport.TCP: api.SIPTransport.SIP_TRANSPORT_TCP,
    SipTrunk.Transport.TLS: api.SIPTransport.SIP_TRANSPORT_TLS,
}
_FIELDS: Final[dict[type[Message], tuple[str, ...]]] = {
    api.SIPOutboundTrunkInfo: ("name", "address", "transport", "numbers", "auth_username", "auth_password"),
    api.SIPInboundTrunkInfo: ("name", "numbers", "allowed_addresses", "allowed_numbers", "auth_username", "auth_password"),
    api.SIPDispatchRuleInfo: (
        "name",
        "rule",
        "trunk_ids",
        "numbers",
        "inbound_numbers",
        "hide_phone_number",
        "room_preset",
        "room_config",
    ),
}
Info = TypeVar("Info", api.SIPOutboundTrunkInfo, api.SIPInboundTrunkInfo, api.SIPDispatchRuleInfo)
_HIDDEN: Final = "auth_password"


def name_of(row: SipTrunk | PhoneNumber) -> str:
    return f"{MARK}{row.public_id}"


def outbound_trunk(trunk: SipTrunk, phones: Iterable[str]) -> api.SIPOutboundTrunkInfo:
    """By which calls leave; the server wants at least one number."""
    return _stamped(
        api.SIPOutboundTrunkInfo(
            name=name_of(trunk),
            address=trunk.address,
            transport=_TRANSPORTS[SipTrunk.Transport(trunk.transport)],
            numbers=sorted(phones),
            auth_username=trunk.auth_username,
            auth_password=trunk.auth_password.reveal() if trunk.auth_password else "",
        ),
        TRUNK,
        trunk.pk,
    )


def inbound_trunk(number: PhoneNumber) -> api.SIPInboundTrunkInfo:
    """Takes the calls to one number, from where its trunk lets them come."""
    allowed = number.grant.trunk.allowed_addresses
    info = api.SIPInboundTrunkInfo(name=name_of(number), numbers=[number.phone], allowed_addresses=allowed)
    return _stamped(info, NUMBER, number.pk)


def rule_of(number: PhoneNumber, *, trunk_id: str) -> api.SIPDispatchRuleInfo:
    """Opens a room for each call to the number and sends an agent that is told which number it was."""
    return _rule(name_of(number), number.pk, trunk_ids=[trunk_id])


def catch_all() -> api.SIPDispatchRuleInfo:
    """Does so for calls to numbers that nobody has."""
    return _rule(CATCH_ALL, None, trunk_ids=[])


def _rule(name: str, number_id: UUID | None, *, trunk_ids: list[str]) -> api.SIPDispatchRuleInfo:
    told = json.dumps({NUMBER: str(number_id) if number_id else None})
    agent = api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=told)
    individual = api.SIPDispatchRuleIndividual(room_prefix=INBOUND_PREFIX)
    info = api.SIPDispatchRuleInfo(
        name=name,
        rule=api.SIPDispatchRule(dispatch_rule_individual=individual),
        trunk_ids=trunk_ids,
        room_config=api.RoomConfiguration(agents=[agent]),
    )
    return _stamped(info, NUMBER, number_id)


def _stamped(info: Info, key: str, row_id: UUID | None) -> Info:
    info.metadata = json.dumps({key: str(row_id) if row_id else None, STAMP: _stamp(info)})
    return info


def told_by(info: Any) -> dict[str, Any]:
    """The metadata of a trunk or rule; empty when it is none of ours."""
    try:
        found = json.loads(info.metadata or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def row_of(info: Any, key: str) -> UUID | None:
    """Whose likeness it says it is."""
    try:
        return UUID(str(told_by(info).get(key)))
    except ValueError:
        return None


def is_catch_all(rule: api.SIPDispatchRuleInfo) -> bool:
    return told_by(rule).get(NUMBER, "") is None or rule.name == CATCH_ALL


def merged(found: Any, wanted: Any) -> Any:
    """What the server has, with our fields as they should be."""
    result = type(wanted)()
    result.CopyFrom(found)
    for name in (*_FIELDS[type(wanted)], "metadata"):
        result.ClearField(name)
    result.MergeFrom(wanted)
    return result


def differs(found: Any, wanted: Any) -> bool:
    return bool(found.metadata != wanted.metadata or _ours(found) != _ours(wanted))


def changed_there(found: Any) -> bool:
    """Whether somebody else has changed it since we wrote it."""
    return told_by(found).get(STAMP) != _stamp(found)


def describe(found: Any, wanted: Any) -> str:
    """What the server had, in a sentence for staff; a password is never shown."""
    parts = []
    for name in _FIELDS[type(wanted)]:
        is_same = getattr(found, name) == getattr(wanted, name)
        if not is_same and name == _HIDDEN:
            parts.append("another password")
        elif not is_same:
            parts.append(f"{name.replace('_', ' ')} {_shown(found, name)} instead of {_shown(wanted, name)}")
    return f"The LiveKit server had {', '.join(parts) or 'other metadata'}."[:MOST_DRIFT]


def _shown(info: Any, name: str) -> str:
    value = getattr(info, name)
    if name == "transport":
        return str(api.SIPTransport.Name(value).removeprefix("SIP_TRANSPORT_").lower())
    if isinstance(value, Message):
        return " ".join(str(value).split())[:120] or "nothing"
    if isinstance(value, str | bool):
        return str(value) or "nothing"
    return ", ".join(value)[:120] or "nothing"


def _ours(info: Any) -> Any:
    result = type(info)()
    result.CopyFrom(info)
    for field in info.DESCRIPTOR.fields:
        if field.name not in _FIELDS[type(info)]:
            result.ClearField(field.name)
    return result


def _stamp(info: Any) -> str:
    """Of everything but the password, which nobody shall be able to guess from it."""
    shown = _ours(info)
    if _HIDDEN in _FIELDS[type(info)]:
        shown.ClearField(_HIDDEN)
    return hashlib.sha256(shown.SerializeToString(deterministic=True)).hexdigest()[:16]
