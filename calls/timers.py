"""How long the platform waits before it takes something for lost. All of it shortens together, for rehearsals of faults."""

from datetime import timedelta

from django.conf import settings


def timer(seconds: float) -> timedelta:
    """So long, times VP_TIMERS_PERCENT."""
    return timedelta(seconds=seconds * settings.VP_TIMERS_PERCENT / 100)
