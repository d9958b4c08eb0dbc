"""How much customers may note of their own about a row."""

from typing import Final

MOST_METADATA: Final = 50
LONGEST_KEY: Final = 40
LONGEST_VALUE: Final = 500
