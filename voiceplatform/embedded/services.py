"""The services of the embedded profile, in the order they start."""

from voiceplatform.embedded.postgres import POSTGRES
from voiceplatform.embedded.service import Service
from voiceplatform.embedded.valkey import VALKEY

SERVICES: tuple[Service, ...] = (POSTGRES, VALKEY)
