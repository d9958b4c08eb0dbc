"""How the console shows times, money, durations and states."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

EMPTY = "–"
TONES = frozenset({"success", "warning", "danger", "info", "neutral"})


def moment_text(value: datetime, zone: str = "", *, seconds: bool = False) -> str:
    """A time in the tenant's zone (else the page's), such as 23 Nov 21:58."""
    local = value.astimezone(ZoneInfo(zone)) if zone else timezone.localtime(value)
    day = f"{local.day} {local:%b}" if local.year == timezone.localtime().year else f"{local.day} {local:%b %Y}"
    return f"{day} {local:%H:%M:%S}" if seconds else f"{day} {local:%H:%M}"


def moment(value: datetime | None, zone: str = "", *, seconds: bool = False) -> SafeString | str:
    """The same for pages, with UTC and its age on hover."""
    if value is None:
        return EMPTY
    return format_html(
        '<time class="vp-time" datetime="{}" title="{} UTC · {} ago">{}</time>',
        value.isoformat(),
        value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        timesince(value).split(",")[0],
        moment_text(value, zone, seconds=seconds),
    )


def duration(seconds: float | None) -> str:
    """1:04, or 2:03:09 from an hour on."""
    if seconds is None:
        return EMPTY
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(ms: int | None) -> str:
    """Minutes and seconds into the call."""
    if ms is None:
        return ""
    minutes, rest = divmod(int(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def money(amount: Decimal | None, currency: str) -> str:
    """Cents where that says enough, more digits where a call costs less than a few cents."""
    if amount is None:
        return EMPTY
    places = 2 if abs(amount) >= 1 or amount == 0 else 4 if abs(amount) >= Decimal("0.01") else 6
    return _signed(amount, currency, places=places)


def _signed(amount: Decimal, currency: str, *, places: int) -> str:
    sign = {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency)
    return f"{sign}{amount:,.{places}f}" if sign else f"{amount:,.{places}f} {currency}"


def price(amount: Decimal, currency: str) -> str:
    """What one unit costs, with every digit that counts: $0.741 or $30.00."""
    digits = amount.normalize().as_tuple().exponent
    return _signed(amount, currency, places=max(2, -digits if isinstance(digits, int) else 0))


def quantity(value: Decimal | float) -> str:
    """A measured amount without noise: 1,204 or 38.25."""
    number = Decimal(value)
    return f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,.2f}"


def badge(text: str, tone: str = "neutral", *, title: str = "") -> SafeString:
    """A small coloured label; `tone` is one of success, warning, danger, info, neutral."""
    return format_html('<span class="vp-badge vp-{}" title="{}">{}</span>', tone if tone in TONES else "neutral", title, text)
