"""What the LiveKit server has: its trunks and dispatch rules, and the requests that change them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from livekit import api

from calls.telephony import likeness
from calls.telephony.client import LiveKit


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing the server keeps. `key` is where its metadata says whose it is, `stored_in` where the row has its id."""

    name: str
    key: str
    stored_in: str
    id_of: Callable[[Any], str]
    all_of: Callable[[api.LiveKitAPI], Awaitable[Any]]
    create: Callable[[api.LiveKitAPI, Any], Awaitable[Any]]
    replace: Callable[[api.LiveKitAPI, str, Any], Awaitable[Any]]
    delete: Callable[[api.LiveKitAPI, str], Awaitable[Any]]


def _trunk_id(info: Any) -> str:
    return str(info.sip_trunk_id)


def _delete_trunk(lk: api.LiveKitAPI, trunk_id: str) -> Awaitable[Any]:
    return lk.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk_id))


OUTBOUND: Final = Kind(
    name="outbound trunk",
    key=likeness.TRUNK,
    stored_in="livekit_id",
    id_of=_trunk_id,
    all_of=lambda lk: lk.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest()),
    create=lambda lk, info: lk.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=info)),
    replace=lambda lk, trunk_id, info: lk.sip.update_outbound_trunk(trunk_id, info),
    delete=_delete_trunk,
)
INBOUND: Final = Kind(
    name="inbound trunk",
    key=likeness.NUMBER,
    stored_in="livekit_id",
    id_of=_trunk_id,
    all_of=lambda lk: lk.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest()),
    create=lambda lk, info: lk.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=info)),
    replace=lambda lk, trunk_id, info: lk.sip.update_inbound_trunk(trunk_id, info),
    delete=_delete_trunk,
)
RULE: Final = Kind(
    name="dispatch rule",
    key=likeness.NUMBER,
    stored_in="livekit_rule_id",
    id_of=lambda info: str(info.sip_dispatch_rule_id),
    all_of=lambda lk: lk.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest()),
    create=lambda lk, info: lk.sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=info)),
    replace=lambda lk, rule_id, info: lk.sip.update_dispatch_rule(rule_id, info),
    delete=lambda lk, rule_id: lk.sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)),
)


class Holdings:
    """All the server has of one kind, kept in step with what is changed through it."""

    def __init__(self, livekit: LiveKit, kind: Kind) -> None:
        self._livekit, self.kind = livekit, kind
        self.items: dict[str, Any] = {kind.id_of(info): info for info in livekit.ask(kind.all_of, again=True).items}

    def owners(self) -> set[UUID]:
        """Rows that something here says it is of."""
        return {row_id for info in self.items.values() if (row_id := likeness.row_of(info, self.kind.key))}

    def of(self, row: Any) -> list[str]:
        """The ids of a row's likenesses: the one it knows first, then others, which an interrupted run has left."""
        stored_id, name = getattr(row, self.kind.stored_in), likeness.name_of(row)
        known = [stored_id] if stored_id in self.items else []
        claims = [key for key, info in self.items.items() if likeness.row_of(info, self.kind.key) == row.pk or info.name == name]
        return known + sorted(key for key in claims if key != stored_id)

    def create(self, wanted: Any) -> str:
        made = self._livekit.ask(lambda lk: self.kind.create(lk, wanted))
        made_id = self.kind.id_of(made)
        self.items[made_id] = made
        return made_id

    def replace(self, item_id: str, wanted: Any) -> None:
        info = likeness.merged(self.items[item_id], wanted)
        self.items[item_id] = self._livekit.ask(lambda lk: self.kind.replace(lk, item_id, info), again=True)

    def delete(self, item_id: str) -> None:
        """What is gone already is no trouble to the server."""
        self._livekit.ask(lambda lk: self.kind.delete(lk, item_id), again=True)
        self.items.pop(item_id, None)
