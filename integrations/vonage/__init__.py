"""Vonage's Numbers API: what numbers an account has, which it could have, and where calls to them go."""

from integrations.vonage.client import VonageClient, vonage_client
from integrations.vonage.errors import Trouble, VonageError
from integrations.vonage.shapes import (
    CURRENCY,
    FEATURES,
    MATCHES,
    TYPES,
    AvailableNumber,
    AvailablePage,
    Callbacks,
    OwnedNumber,
    OwnedPage,
)

__all__ = [
    "CURRENCY",
    "FEATURES",
    "MATCHES",
    "TYPES",
    "AvailableNumber",
    "AvailablePage",
    "Callbacks",
    "OwnedNumber",
    "OwnedPage",
    "Trouble",
    "VonageClient",
    "VonageError",
    "vonage_client",
]
