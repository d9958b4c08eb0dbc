"""How templates of the console write times, money and durations."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils.safestring import SafeString

from tenants import display

register = template.Library()


@register.simple_tag
def moment(value: datetime | None, zone: str = "", *, seconds: bool = False) -> SafeString | str:
    return display.moment(value, zone, seconds=seconds)


@register.simple_tag
def money(amount: Decimal | None, currency: str) -> str:
    return display.money(amount, currency)


@register.simple_tag
def price(amount: Decimal, currency: str) -> str:
    return display.price(amount, currency)


@register.simple_tag
def badge(text: str, tone: str = "neutral") -> SafeString:
    return display.badge(text, tone)


@register.filter
def duration(seconds: float | None) -> str:
    return display.duration(seconds)


@register.filter
def clock(ms: int | None) -> str:
    return display.clock(ms)


@register.filter
def quantity(value: Any) -> str:
    return display.quantity(value)


@register.filter
def thousands(value: int) -> str:
    return f"{value:,}"
