"""Digits: how a number is read out, and what keys can be pressed."""

import re
from typing import Final

KEYS: Final = re.compile(r"[0-9*#w]{1,32}")
"""Keys of a phone in a row; w waits half a second."""


def in_groups(digits: str) -> list[str]:
    """Three by three, the last group taking up to four: '5125550143' gives '512', '555', '0143'."""
    groups = []
    while len(digits) > 4:
        groups.append(digits[:3])
        digits = digits[3:]
    return [*groups, digits]
