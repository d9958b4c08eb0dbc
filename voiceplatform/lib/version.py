"""The platform's version, as hosts report it."""

from typing import Final

VERSION: Final = "0.1.0"
