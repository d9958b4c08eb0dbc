"""What is known about carriers: the settings a trunk to each begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db import models


class Carrier(models.TextChoices):
    VONAGE = "vonage", "Vonage"
    TWILIO = "twilio", "Twilio"
    TELNYX = "telnyx", "Telnyx"
    OTHER = "other", "another carrier"


@dataclass(frozen=True, slots=True)
class Preset:
    """What a new trunk starts with; everything can be changed. `address` may be an example that has to be replaced.

    Carriers bill an answered call for `billing_minimum_s` at least, then in steps; a minute unless they say otherwise.
    `sells_numbers`: this platform can list, buy and release numbers there.
    """

    address: str
    transport: str
    cps: int
    channels: int
    help_text: str
    billing_minimum_s: int = 60
    billing_step_s: int = 60
    sells_numbers: bool = False


PRESETS: Final[Mapping[str, Preset]] = {
    Carrier.VONAGE: Preset(
        address="sip.nexmo.com",
        transport="tcp",
        cps=1,
        channels=10,
        help_text="User name: the account's API key; password: its API secret. A trunk domain such as "
        "example.sip-us.vonage.com has credentials of its own.",
        sells_numbers=True,
    ),
    Carrier.TWILIO: Preset(
        address="example.pstn.twilio.com",
        transport="tcp",
        cps=1,
        channels=10,
        help_text="The termination URI of the elastic SIP trunk, with a credential list. Switch call transfer on in "
        "Twilio's console, else blind transfers are refused.",
    ),
    Carrier.TELNYX: Preset(
        address="sip.telnyx.com",
        transport="tcp",
        cps=1,
        channels=10,
        help_text="The user name and password of a credential connection.",
    ),
    Carrier.OTHER: Preset(
        address="sip.example.com",
        transport="udp",
        cps=1,
        channels=10,
        help_text="The host your carrier names for outbound calls, and the credentials it gave you.",
    ),
}
