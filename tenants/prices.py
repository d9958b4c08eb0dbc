"""Prices the platform comes with, as dated data.

Where no price of a carrier could be confirmed there is none, and its calls warn until staff enter what they pay.

Language models of vendors are missing on purpose: the `genai-prices` package knows them. Migrations write these rows
once; from then on staff edit them.

The local stages cost what their share of a rented machine costs, 0.04 USD for one hour of one virtual CPU. CPU seconds
were measured on two cores: Whisper base 0.35 for 4 s of speech; Piper 0.08 for 1 s of speech, which is 15 characters;
the default brain reads 75 and writes 30 tokens a second on both cores, the small one 162 and 49. A cached token is
not read again; it is counted as a hundredth.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

MILLION: Final = Decimal(1_000_000)
_MEASURED = "CPU time at 0.04 USD per vCPU hour, measured on 2 cores, 2026-11-23"
_LIVEKIT = "LiveKit Cloud, calls over other carriers' trunks, Ship plan; recalled from 2025-10, not confirmed: see your plan"
_SIMULATED = "nobody is paid: a stand-in, so that rehearsals show a cost"
_TWILIO = "0.0011 one way, 0.0034 the other, sources disagree which: the dearer for both; third parties, 2026-11-22"
_LISTED = "vendor list price through litellm 1.109.1, read 2026-11-22"


@dataclass(frozen=True, slots=True)
class Price:
    kind: str
    provider: str
    model: str
    unit: str
    price: Decimal
    per: Decimal
    source: str
    effective_from: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    currency: str = "USD"


def _price(kind: str, provider: str, model: str, unit: str, price: str, per: int, source: str) -> Price:
    return Price(kind, provider, model, unit, Decimal(price), Decimal(per), source)


PRICES: Final = (
    _price("stt", "local", "", "second", "0.0035", 3600, _MEASURED),
    _price("tts", "local", "", "character", "0.059", 1_000_000, _MEASURED),
    _price("llm", "local", "", "input_token", "0.296", 1_000_000, _MEASURED),
    _price("llm", "local", "", "cached_input_token", "0.003", 1_000_000, _MEASURED),
    _price("llm", "local", "", "output_token", "0.741", 1_000_000, _MEASURED),
    _price("llm", "local", "small", "input_token", "0.137", 1_000_000, _MEASURED),
    _price("llm", "local", "small", "cached_input_token", "0.0014", 1_000_000, _MEASURED),
    _price("llm", "local", "small", "output_token", "0.454", 1_000_000, _MEASURED),
    _price("stt", "google", "chirp_3", "second", "0.016", 60, _LISTED),
    _price("stt", "google", "telephony", "second", "0.016", 60, _LISTED),
    _price("tts", "google", "chirp3-hd", "character", "30", 1_000_000, _LISTED),
    _price("stt", "elevenlabs", "scribe_v2_realtime", "second", "0.22", 3600, f"{_LISTED} (Scribe v2; realtime not listed)"),
    _price("tts", "elevenlabs", "eleven_flash_v2_5", "character", "0.04", 1000, _LISTED),
    _price("tts", "elevenlabs", "eleven_multilingual_v2", "character", "0.08", 1000, _LISTED),
    _price("telephony", "twilio", "outbound US", "second", "0.0034", 60, _TWILIO),
    _price("telephony", "twilio", "inbound US", "second", "0.0034", 60, _TWILIO),
    _price("telephony", "simulated", "outbound", "second", "0.01", 60, _SIMULATED),
    _price("telephony", "simulated", "inbound", "second", "0.005", 60, _SIMULATED),
    _price("transport", "livekit", "sip", "second", "0.004", 60, _LIVEKIT),
)


def write_missing(default_rate: Any) -> int:
    """Insert the prices that have no row yet; `default_rate` is the model, or a migration's state of it."""
    columns = ("kind", "provider", "model", "unit", "effective_from")
    known = set(default_rate.objects.values_list(*columns))
    rows = [default_rate(**asdict(price)) for price in PRICES if tuple(getattr(price, c) for c in columns) not in known]
    default_rate.objects.bulk_create(rows)
    return len(rows)
