from decimal import Decimal

import pytest

from voiceplatform.lib.money import round_money


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("1", "1.000000"),
        ("0.0000005", "0.000001"),
        ("0.00000049", "0.000000"),
        ("2.0000015", "2.000002"),
        ("0.1234567", "0.123457"),
    ],
)
def test_money_has_six_places_and_rounds_half_up(exact: str, rounded: str) -> None:
    assert str(round_money(Decimal(exact))) == rounded
