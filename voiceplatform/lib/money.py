"""Amounts of money: `Decimal` with six places, rounded once, half up."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

SMALLEST: Final = Decimal("0.000001")


def round_money(amount: Decimal) -> Decimal:
    return amount.quantize(SMALLEST, rounding=ROUND_HALF_UP)
