"""What Vonage tells of numbers, in our words. Numbers have their `+` here; Vonage writes them without."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

TYPES: Final[Mapping[str, str]] = {"landline": "landline", "mobile": "mobile-lvn", "toll_free": "landline-toll-free"}
MATCHES: Final[Mapping[str, int]] = {"starts": 0, "contains": 1, "ends": 2}
FEATURES: Final = ("voice", "sms", "mms")
CURRENCY: Final = "EUR"
_OUR_TYPES: Final = {theirs: ours for ours, theirs in TYPES.items()}
_WIRE: Final = {
    "app_id": "app_id",
    "voice_type": "voiceCallbackType",
    "voice_value": "voiceCallbackValue",
    "voice_status_url": "voiceStatusCallback",
    "sms_url": "moHttpUrl",
    "messages_type": "messagesCallbackType",
    "messages_value": "messagesCallbackValue",
}


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where what arrives for a number goes. Vonage replaces them all at once: what is empty ends."""

    app_id: str = ""
    voice_type: str = ""
    voice_value: str = ""
    voice_status_url: str = ""
    sms_url: str = ""
    messages_type: str = ""
    messages_value: str = ""

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        return cls(**{ours: str(told.get(theirs) or "") for ours, theirs in _WIRE.items()})

    def to_wire(self) -> dict[str, str]:
        return {_WIRE[ours]: value for ours, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class OwnedNumber:
    phone: str
    country: str
    type: str
    features: tuple[str, ...]
    callbacks: Callbacks

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        return cls(**_common(told), callbacks=Callbacks.from_wire(told))


@dataclass(frozen=True, slots=True)
class AvailableNumber:
    """`monthly_cost` is in CURRENCY, as Vonage writes it; empty when it does not say."""

    phone: str
    country: str
    type: str
    features: tuple[str, ...]
    monthly_cost: str

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        return cls(**_common(told), monthly_cost=str(told.get("cost") or ""))


@dataclass(frozen=True, slots=True)
class OwnedPage:
    """`count` is of all pages."""

    count: int
    numbers: tuple[OwnedNumber, ...]


@dataclass(frozen=True, slots=True)
class AvailablePage:
    """`count` is of all pages."""

    count: int
    numbers: tuple[AvailableNumber, ...]


def _common(told: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(told.get("type") or "")
    return {
        "phone": f"+{told['msisdn']}",
        "country": str(told.get("country") or ""),
        "type": _OUR_TYPES.get(kind, kind),
        "features": tuple(sorted(str(feature).lower() for feature in told.get("features") or ())),
    }
