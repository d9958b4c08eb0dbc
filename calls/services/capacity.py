"""How many more calls the hosts can hold."""

from datetime import timedelta
from typing import Final

from django.db.models import Q, Sum

from calls.clock import database_now
from calls.models import Call, WorkerHost
from calls.services.sweeps import HOST_SILENCE

_CLOSING: Final = timedelta(minutes=1)
_HELD: Final = (Call.Status.DISPATCHED, Call.Status.DIALING, Call.Status.RINGING, Call.Status.IN_PROGRESS)


def free_places() -> int | None:
    """Calls that hosts for rooms can take now, of all tenants; None while no such host serves. Needs no scope.

    A job that hands in the records of its call still has its place. Hosts that drain count for nothing, nor do their calls.
    """
    now = database_now()
    serving = WorkerHost.objects.filter(transport=WorkerHost.Transport.LIVEKIT, retired_at=None, draining=False)
    serving = serving.filter(last_beat_at__gt=now - HOST_SILENCE)
    slots: int | None = serving.aggregate(slots=Sum("slots"))["slots"]
    if slots is None:
        return None
    closing = Q(status=Call.Status.ENDED, finalized_at=None, ended_at__gt=now - _CLOSING)
    calls = Call.all_objects.filter(Q(status__in=_HELD) | closing, transport=Call.Transport.LIVEKIT)
    held = calls.filter(Q(host=None, status__in=_HELD) | Q(host__in=serving)).count()
    return max(0, slots - held)
